"""A lender whose file declares connections, in a folder of the test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse.lenders import rules

Declare = Callable[[str], None]


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Write the file of the lender `bank`."""
    folder = tmp_path / "lenders"
    folder.mkdir()
    monkeypatch.setattr(rules, "DIRECTORY", folder)
    return lambda text: void((folder / "bank.yml").write_text(text))


def void(_: object) -> None:
    pass
