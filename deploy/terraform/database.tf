# All that a team's machines share but files and the online store. A standby in another zone takes over within minutes; the replica is for reading and for a copy
# that can be promoted by hand.
resource "aws_db_subnet_group" "loanlake" {
  name       = local.name
  subnet_ids = var.private_subnet_ids
}

resource "aws_db_parameter_group" "loanlake" {
  name   = local.name
  family = "postgres16"
  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
  parameter {
    name  = "log_statement"
    value = "ddl"
  }
  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }
}

resource "aws_db_instance" "catalog" {
  # checkov:skip=CKV_AWS_161: the clients of DuckDB, MLflow and Dagster have a password, no token of IAM
  identifier                      = local.name
  engine                          = "postgres"
  engine_version                  = "16"
  instance_class                  = var.database_instance
  allocated_storage               = 100
  max_allocated_storage           = 500
  storage_type                    = "gp3"
  storage_encrypted               = true
  kms_key_id                      = aws_kms_key.loanlake.arn
  db_name                         = "loanlake"
  username                        = "loanlake"
  password                        = random_password.database.result
  multi_az                        = true
  db_subnet_group_name            = aws_db_subnet_group.loanlake.name
  parameter_group_name            = aws_db_parameter_group.loanlake.name
  vpc_security_group_ids          = [aws_security_group.servers.id]
  publicly_accessible             = false
  # to any second of these days
  backup_retention_period         = 14
  copy_tags_to_snapshot           = true
  deletion_protection             = true
  skip_final_snapshot             = false
  final_snapshot_identifier       = "${local.name}-final"
  auto_minor_version_upgrade      = true
  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.database_monitoring.arn
  performance_insights_enabled    = true
  performance_insights_kms_key_id = aws_kms_key.loanlake.arn
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
}

resource "aws_db_instance" "replica" {
  # checkov:skip=CKV_AWS_157: the copy; its source has a standby
  # checkov:skip=CKV_AWS_161: a replica has the users of its source
  identifier                      = "${local.name}-replica"
  replicate_source_db             = aws_db_instance.catalog.identifier
  instance_class                  = var.database_instance
  storage_encrypted               = true
  kms_key_id                      = aws_kms_key.loanlake.arn
  parameter_group_name            = aws_db_parameter_group.loanlake.name
  vpc_security_group_ids          = [aws_security_group.servers.id]
  publicly_accessible             = false
  copy_tags_to_snapshot           = true
  deletion_protection             = true
  skip_final_snapshot             = true
  auto_minor_version_upgrade      = true
  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.database_monitoring.arn
  performance_insights_enabled    = true
  performance_insights_kms_key_id = aws_kms_key.loanlake.arn
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]
}

resource "random_password" "database" {
  # letters and digits: it becomes part of a libpq connection string
  length  = 40
  special = false
}

resource "aws_iam_role" "database_monitoring" {
  name = "${local.name}-database-monitoring"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "monitoring.rds.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "database_monitoring" {
  role       = aws_iam_role.database_monitoring.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

# online store and rate limits: filled again from the lake, so that it needs no backup of decisions
resource "aws_elasticache_subnet_group" "loanlake" {
  name       = local.name
  subnet_ids = var.private_subnet_ids
}

resource "random_password" "redis" {
  length  = 40
  special = false
}

resource "aws_elasticache_replication_group" "online" {
  replication_group_id       = local.name
  description                = "Loanlake's online store and rate limits"
  engine                     = "redis"
  engine_version             = "7.1"
  node_type                  = "cache.m6g.large"
  num_cache_clusters         = 2
  automatic_failover_enabled = true
  multi_az_enabled           = true
  subnet_group_name          = aws_elasticache_subnet_group.loanlake.name
  security_group_ids         = [aws_security_group.servers.id]
  at_rest_encryption_enabled = true
  transit_encryption_enabled = true
  kms_key_id                 = aws_kms_key.loanlake.arn
  auth_token                 = random_password.redis.result
  snapshot_retention_limit   = 3
  auto_minor_version_upgrade = true
}

# PostgreSQL and Redis, from the cluster alone
resource "aws_security_group" "servers" {
  name        = "${local.name}-servers"
  description = "PostgreSQL and Redis of Loanlake, from the cluster alone"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "servers" {
  for_each                     = { postgres = 5432, redis = 6379 }
  security_group_id            = aws_security_group.servers.id
  description                  = each.key
  referenced_security_group_id = aws_eks_cluster.loanlake.vpc_config[0].cluster_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}
