"""Rows that arrive by the minute reach the online store within one: dbt builds what it reads, and nothing else.

A thread beside the reading of streams, since a build takes as long as many batches. It is not a Dagster run: the wait
for a sensor and a run's start would be half of the time, and what stops Dagster would leave the store as it was. The
schedules build everything else of the same rows.
"""

import shutil
import threading
import time
from collections.abc import Callable

from orchestration.dbt_process import have_dbt_ready
from orchestration.lib.dbt_project import PARTIAL_PARSE, prepared_manifest, run_dbt
from warehouse.errors import LoanlakeError
from warehouse.online_store import refresh
from warehouse.settings import DBT_PROJECT_DIR, Settings

#: The online models, with all that they are made of, and the tests of these: a failing test keeps its rows out.
_BUILD = ("build", "--exclude-resource-type", "unit_test", "--indirect-selection", "cautious", "--cache-selected-only")
_SELECTED = ("--select", "+ftr_online_*")
_SECONDS_AFTER_A_FAILURE = 10.0


class OnlineRefresh:
    """Brings the online store up to date after each :meth:`ask`; asked meanwhile, once more."""

    def __init__(self, settings: Settings, say: Callable[[str], object]) -> None:
        self._settings, self._say = settings, say
        self._is_asked, self._lock = threading.Event(), threading.Lock()
        self._asked_at: float | None = None
        self._problem = ""

    def start(self) -> None:
        """Have dbt ready, and begin to wait; the thread ends with the process."""
        have_dbt_ready()
        threading.Thread(target=self._work, name="online-refresh", daemon=True).start()

    def ask(self) -> None:
        """Rows have come."""
        with self._lock:
            if self._asked_at is None:
                self._asked_at = time.monotonic()
        self._is_asked.set()

    def unserved_seconds(self) -> float:
        """Since when the online store lacks rows; 0 if it has all."""
        with self._lock:
            return 0.0 if self._asked_at is None else time.monotonic() - self._asked_at

    def refresh(self) -> None:
        """Build and refresh now; raises LoanlakeError for a failing build or test, and the store stays as it was."""
        settings = self._settings
        prepared_manifest(settings)
        target = settings.dbt_target.with_name("online_refresh")
        if not (target / PARTIAL_PARSE).exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(settings.dbt_parsed / "working" / PARTIAL_PARSE, target)
        run_dbt(
            [*_BUILD, *_SELECTED], settings, target=target, project_dir=DBT_PROJECT_DIR, doing="build the online models"
        )
        refresh(settings)

    def _work(self) -> None:
        while True:
            self._is_asked.wait()
            self._is_asked.clear()
            with self._lock:
                began, first = time.monotonic(), self._asked_at
            try:
                self.refresh()
            except LoanlakeError as error:
                if str(error) != self._problem:
                    self._say(f"the online store stays as it is: {error}")
                self._problem = str(error)
                time.sleep(_SECONDS_AFTER_A_FAILURE)
                self._is_asked.set()
                continue
            with self._lock:
                # rows that came during the build may not be in it
                self._asked_at = began if self._is_asked.is_set() else None
            self._problem = ""
            waited = time.monotonic() - (first or began)
            self._say(f"online store refreshed, {waited:.1f} s after the first of its rows was loaded")
