# All that the pods' Secret loanlake-servers holds, as one JSON object of environment variables. The state of Terraform
# has these values too: keep it encrypted, and closed to all but those who run it.
resource "aws_secretsmanager_secret" "servers" {
  # checkov:skip=CKV2_AWS_57: rotated by replacing random_password and the access key, together with the pods' Secret
  name                    = "${local.name}/servers"
  kms_key_id              = aws_kms_key.loanlake.arn
  recovery_window_in_days = 30
}

# Pseudonyms of erased persons: never replaced, and kept with the backups
resource "random_password" "erasure" {
  length  = 48
  special = false
  lifecycle { prevent_destroy = true }
}

resource "aws_secretsmanager_secret_version" "servers" {
  secret_id = aws_secretsmanager_secret.servers.id
  secret_string = jsonencode({
    LOANLAKE_CATALOG = join(" ", [
      "postgres:host=${aws_db_instance.catalog.address}", "port=5432", "dbname=loanlake", "user=loanlake",
      "password=${random_password.database.result}", "sslmode=require",
    ])
    LOANLAKE_LAKE_DATA    = "s3://${aws_s3_bucket.lake.bucket}/lake/"
    LOANLAKE_REDIS_URL    = "rediss://:${random_password.redis.result}@${aws_elasticache_replication_group.online.primary_endpoint_address}:6379/0"
    LOANLAKE_ERASURE_KEY  = random_password.erasure.result
    AWS_ACCESS_KEY_ID     = aws_iam_access_key.lake.id
    AWS_SECRET_ACCESS_KEY = aws_iam_access_key.lake.secret
    AWS_REGION            = var.region
  })
}

output "cluster" {
  description = "Name of the cluster, for aws eks update-kubeconfig."
  value       = aws_eks_cluster.loanlake.name
}

output "servers_secret" {
  description = "Secret with the environment of the pods."
  value       = aws_secretsmanager_secret.servers.name
}
