"""Terraform's files can be read, declare what they use, and hand the pods settings that there are."""

import json
import re
from typing import Any

import hcl2
import pytest

from tests.deploy.folder import DEPLOY, FOREIGN, OF_A_TEAM
from warehouse.settings import Settings

FOLDER = DEPLOY / "terraform"
TEXTS = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.tf"))}
TEXT = "".join(TEXTS.values())


@pytest.fixture(scope="module")
def blocks() -> list[dict[str, Any]]:
    return [hcl2.loads(text) for text in TEXTS.values()]


def _resources(blocks: list[dict[str, Any]], kind: str = "resource") -> set[str]:
    found = {
        f"{resource}.{name}".replace('"', "")
        for block in blocks
        for each in block.get(kind, [])
        for resource, named in each.items()
        for name in named
    }
    return {name for name in found if "__" not in name}


def test_every_file_is_read(blocks: list[dict[str, Any]]) -> None:
    assert {"aws_db_instance.replica", "aws_s3_bucket_versioning.lake", "aws_eks_cluster.loanlake"} <= _resources(
        blocks
    )


def test_what_is_used_is_declared(blocks: list[dict[str, Any]]) -> None:
    used = set(re.findall(r"(?<![.\w\"])((?:aws|random)_\w+\.\w+)", re.sub(r"#.*", "", TEXT)))
    variables = set(re.findall(r'^variable "(\w+)"', TEXT, re.MULTILINE))

    assert used - _resources(blocks) == set()
    assert set(re.findall(r"\bvar\.(\w+)", TEXT)) == variables


def test_the_secret_holds_settings_that_there_are(settings_known: set[str]) -> None:
    [secret] = re.findall(r"secret_string = jsonencode\(\{(.+?)\n  \}\)", TEXTS["secrets.tf"], re.DOTALL)

    names = set(re.findall(r"^ +([A-Z_]+) += ", secret, re.MULTILINE))

    assert names <= settings_known
    # Amazon's own store needs no address
    assert names == OF_A_TEAM | FOREIGN - {"AWS_ENDPOINT_URL_S3"}


def test_nodes_are_in_every_zone_and_two_carry_on() -> None:
    least = re.findall(r"min_size += (\d+)", TEXTS["cluster.tf"])

    assert re.findall(r"^  subnet_ids += (\S+)", TEXTS["cluster.tf"], re.MULTILINE) == ["var.private_subnet_ids"]
    assert least == ["3"]


def test_deleted_objects_stay_for_longer_than_the_databases_backups() -> None:
    """A restored catalog names files that were deleted after its backup."""
    [database] = re.findall(r"backup_retention_period += (\d+)", TEXT)
    [objects] = re.findall(r"noncurrent_days = (\d+)", TEXT)

    assert int(objects) > int(database)


def test_the_key_reaches_every_prefix_that_loanlake_derives() -> None:
    settings = Settings.from_environment(
        {"LOANLAKE_CATALOG": "postgres:host=db dbname=loanlake", "LOANLAKE_LAKE_DATA": "s3://bucket/lake/"}
    )
    [suffixes] = re.findall(r"for suffix in (\[.+?\])", TEXTS["objects.tf"])
    reached = {f"s3://bucket/lake{suffix}" for suffix in json.loads(suffixes)}

    assert {"s3://bucket/lake", settings.mlflow_artifact_root, settings.run_logs} <= reached


def test_nothing_is_open_or_unencrypted() -> None:
    assert "0.0.0.0/0" not in TEXT
    assert re.findall(r"publicly_accessible += (\w+)", TEXT) == ["false", "false"]
    assert set(re.findall(r"(?:storage_encrypted|_encryption_enabled) += (\w+)", TEXT)) == {"true"}


def test_each_check_that_is_left_out_says_why() -> None:
    assert [line for line in re.findall(r"checkov:skip=(.+)", TEXT) if not re.match(r"\w+: \w.{10,}", line)] == []
