variable "region" {
  description = "AWS region of everything."
  type        = string
}

variable "environment" {
  description = "Name of this installation, such as production; part of every name."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.environment))
    error_message = "environment must be 2 to 20 small letters, digits and hyphens."
  }
}

variable "vpc_id" {
  description = "The network. Its private subnets need a way out to S3, the image registry and the cluster's API."
  type        = string
}

variable "private_subnet_ids" {
  description = "Private subnets in at least two zones, better three, for the servers and the nodes."
  type        = list(string)
  validation {
    condition     = length(var.private_subnet_ids) >= 2
    error_message = "private_subnet_ids must name subnets in at least two zones."
  }
}

variable "database_instance" {
  description = "Size of PostgreSQL and its replica."
  type        = string
  default     = "db.m6g.large"
}

variable "node_instance" {
  description = "Size of a node. One must carry the worker, whose runs may use 16 GiB, and API pods."
  type        = string
  default     = "m6i.2xlarge"
}
