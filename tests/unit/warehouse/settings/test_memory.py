"""A container's limit counts, where it is less than the machine's memory."""

from pathlib import Path

from warehouse.settings.memory import memory_bytes


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    limit, none = tmp_path / "memory.max", tmp_path / "without"
    limit.write_text("1073741824\n")
    none.write_text("max\n")

    assert memory_bytes((limit,)) == 2**30
    assert memory_bytes((none, tmp_path / "absent")) == memory_bytes(())
