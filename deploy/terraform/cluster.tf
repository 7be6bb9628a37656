# A Kubernetes cluster whose nodes are in all zones: the API's pods spread over them.
resource "aws_eks_cluster" "loanlake" {
  name     = local.name
  version  = "1.33"
  role_arn = aws_iam_role.cluster.arn
  vpc_config {
    subnet_ids              = var.private_subnet_ids
    endpoint_private_access = true
    endpoint_public_access  = false
  }
  encryption_config {
    resources = ["secrets"]
    provider { key_arn = aws_kms_key.loanlake.arn }
  }
  enabled_cluster_log_types = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
  depends_on                = [aws_iam_role_policy_attachment.cluster]
}

resource "aws_eks_node_group" "loanlake" {
  cluster_name    = aws_eks_cluster.loanlake.name
  node_group_name = "team"
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = var.private_subnet_ids
  instance_types  = [var.node_instance]
  disk_size       = 100
  # without one of three, the others carry three API pods and the worker; a pod's volume stays in its zone
  scaling_config {
    desired_size = 3
    min_size     = 3
    max_size     = 6
  }
  depends_on = [aws_iam_role_policy_attachment.node]
}

# volumes of the cluster; NetworkPolicies are kept by the network plugin
resource "aws_eks_addon" "volumes" {
  cluster_name = aws_eks_cluster.loanlake.name
  addon_name   = "aws-ebs-csi-driver"
}

resource "aws_eks_addon" "network" {
  cluster_name         = aws_eks_cluster.loanlake.name
  addon_name           = "vpc-cni"
  configuration_values = jsonencode({ enableNetworkPolicy = "true" })
}

# the autoscaler's figures
resource "aws_eks_addon" "metrics" {
  cluster_name = aws_eks_cluster.loanlake.name
  addon_name   = "metrics-server"
}

resource "aws_iam_role" "cluster" {
  name = "${local.name}-cluster"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "eks.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_iam_role" "node" {
  name = "${local.name}-node"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ec2.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each = toset([
    "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly",
    "service-role/AmazonEBSCSIDriverPolicy",
  ])
  role       = aws_iam_role.node.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}
