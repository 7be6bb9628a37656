"""Import what later steps of a run need while a step waits for another process: on two cores it costs no time."""

import importlib
import os
from collections.abc import Iterable
from threading import Thread
from typing import Final

_OF_TRAINING = (
    "orchestration.defs.training.steps",
    "xgboost",
    "matplotlib.backends.backend_agg",
    "scipy.stats",
    "mlflow",
)
_OF_REPORT = ("evidently", "evidently.legacy.metrics", "evidently.presets")
#: What a job imports after its tables are built, in the order of its steps.
AFTER_TABLES: Final = {"default_risk": _OF_TRAINING + _OF_REPORT, "retrain": _OF_TRAINING}


def import_ahead(modules: Iterable[str]) -> Thread:
    """Import in a thread, and return it; a step that imports one of them meanwhile waits for that one.

    What cannot be imported is left to the step that needs it, and to its message.
    """
    # Evidently reports its use to a server unless this variable exists when it is imported
    os.environ.setdefault("DO_NOT_TRACK", "1")
    thread = Thread(target=_import, args=(tuple(modules),), name="imports", daemon=True)
    thread.start()
    return thread


def _import(modules: Iterable[str]) -> None:
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
