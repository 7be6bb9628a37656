"""Imports made while a step waits."""

import sys
from pathlib import Path

import pytest

from orchestration.defs.warehouse.imports_ahead import import_ahead


def test_what_can_be_imported_is_and_the_rest_is_left_to_its_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "needs_what_is_not_there.py").write_text("import nowhere_to_be_found")
    (tmp_path / "needed_later.py").write_text("answer = 42")
    monkeypatch.syspath_prepend(tmp_path)

    import_ahead(["needs_what_is_not_there", "needed_later"]).join(timeout=30)

    assert sys.modules.pop("needed_later").answer == 42
    assert "needs_what_is_not_there" not in sys.modules
