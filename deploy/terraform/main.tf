# What Loanlake needs of AWS beside a network: PostgreSQL, Redis, an object store, a Kubernetes cluster, secrets.
# Network, DNS and certificates are yours: variables.tf names what is needed of them.
terraform {
  required_version = ">= 1.6"
  required_providers {
    aws    = { source = "hashicorp/aws", version = "~> 5.80" }
    random = { source = "hashicorp/random", version = "~> 3.6" }
  }
}

provider "aws" {
  region = var.region
  default_tags { tags = { project = "loanlake", environment = var.environment } }
}

locals {
  name = "loanlake-${var.environment}"
}

# one key for all that is stored: whoever may not use it reads nothing
resource "aws_kms_key" "loanlake" {
  description             = "Loanlake's data at rest"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
}

data "aws_caller_identity" "this" {}

data "aws_iam_policy_document" "key" {
  # checkov:skip=CKV_AWS_109: a key's own policy names the account that owns it
  # checkov:skip=CKV_AWS_111: without it no person could ever change the key
  # checkov:skip=CKV_AWS_356: in a key's policy "*" is that key
  statement {
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.this.account_id}:root"]
    }
  }
}
