"""Dagster's webserver listens on the socket: its real command makes the one call of uvicorn that this relies on."""

from pathlib import Path
from typing import Any

import pytest
import uvicorn

from orchestration.doors.dagster_on_socket import main


def test_dagster_serves_on_the_socket_and_on_no_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version of Dagster that calls uvicorn otherwise would find a host that never resolves, and end."""
    called: list[dict[str, Any]] = []
    monkeypatch.setattr(uvicorn, "run", lambda _app, **options: called.append(options))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}")

    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "socket"), "--empty-workspace"])

    assert ended.value.code == 0
    assert [(options["uds"], options["host"]) for options in called] == [(str(tmp_path / "socket"), "socket.invalid")]
