# The lake's Parquet files, MLflow's artifacts, output of Dagster's steps. An older version protects from a deletion.
resource "aws_s3_bucket" "lake" {
  # checkov:skip=CKV_AWS_144: a copy in another region is a decision about law and cost; docs/deployment.md names it
  # checkov:skip=CKV2_AWS_62: nothing waits for events of the bucket
  bucket = "${local.name}-${data.aws_caller_identity.this.account_id}"
}

resource "aws_s3_bucket_versioning" "lake" {
  bucket = aws_s3_bucket.lake.id
  versioning_configuration { status = "Enabled" }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.loanlake.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "lake" {
  bucket                  = aws_s3_bucket.lake.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# A restored database may name files that were deleted since its backup: versions stay for longer than its backups do. An
# erased person's files are gone from the lake immediately, and from the versions after this time: write the days into your
# record of processing.
resource "aws_s3_bucket_lifecycle_configuration" "lake" {
  bucket     = aws_s3_bucket.lake.id
  depends_on = [aws_s3_bucket_versioning.lake]
  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration { noncurrent_days = 16 }
    abort_incomplete_multipart_upload { days_after_initiation = 2 }
  }
}

resource "aws_s3_bucket_logging" "lake" {
  bucket        = aws_s3_bucket.lake.id
  target_bucket = aws_s3_bucket.logs.id
  target_prefix = "lake/"
}

resource "aws_s3_bucket" "logs" {
  # checkov:skip=CKV_AWS_144: logs of access need no second region
  # checkov:skip=CKV_AWS_18: it is where logs go
  # checkov:skip=CKV_AWS_21: lines are only added
  # checkov:skip=CKV_AWS_145: the log service cannot write with a customer's key
  # checkov:skip=CKV2_AWS_62: nothing waits for its events
  bucket = "${local.name}-logs-${data.aws_caller_identity.this.account_id}"
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket                  = aws_s3_bucket.logs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id
  rule {
    id     = "a-year"
    status = "Enabled"
    filter {}
    expiration { days = 365 }
    abort_incomplete_multipart_upload { days_after_initiation = 2 }
  }
}

# DuckDB, MLflow and Dagster sign with a key: of a user that can do nothing but read and write this bucket
resource "aws_iam_user" "lake" {
  # checkov:skip=CKV_AWS_273: a program's key, not a person's; DuckDB keeps a role's key beyond its hour
  name = "${local.name}-lake"
}

resource "aws_iam_user_policy" "lake" {
  # checkov:skip=CKV_AWS_40: one user with one policy
  name = "lake"
  user = aws_iam_user.lake.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["s3:ListBucket"], Resource = [aws_s3_bucket.lake.arn] },
      {
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        # what Loanlake derives from LOANLAKE_LAKE_DATA; docs/team.md
        Resource = [for suffix in ["", "-mlflow", "-dagster", "-dev", "-doctor"] : "${aws_s3_bucket.lake.arn}/lake${suffix}/*"]
      },
      { Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [aws_kms_key.loanlake.arn] },
    ]
  })
}

resource "aws_iam_access_key" "lake" {
  user = aws_iam_user.lake.name
}
