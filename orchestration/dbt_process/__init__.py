"""dbt as a process: one that has dbt imported forks for each command, so that a run starts dbt once, ahead of time."""

__all__ = ["DBT_COMMAND", "command", "have_dbt_ready", "ready"]

import sys
from pathlib import Path
from typing import Final

from orchestration.dbt_process.ready import have_dbt_ready

#: What to start in dbt's place, before its arguments: it becomes dbt where no process is ready.
DBT_COMMAND: Final = (sys.executable, "-I", str(Path(__file__).with_name("command.py")))
