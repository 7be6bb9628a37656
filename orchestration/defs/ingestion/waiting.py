"""What a run does with the files that wait in a lender's inbox."""

import time
from collections.abc import Callable

from orchestration.dbt_process import have_dbt_ready
from orchestration.defs.ingestion import inbox
from warehouse.errors import FileChangedError, SourceFileError
from warehouse.settings import Settings
from warehouse.sources import ingest_files
from warehouse.sources.ingest import IngestResult


def load_waiting(source: str, settings: Settings, say: Callable[[str], object]) -> list[IngestResult]:
    """Load the waiting files; each leaves the inbox when the lake has its content.

    A file that cannot be loaded is set aside; SourceFileError is raised after all files were tried, and the next run
    builds what was loaded. ``say`` reports files that stay, and why.
    """
    if not (settings.inbox / source).exists():
        return []
    loaded: list[IngestResult] = []
    refused: list[str] = []
    with inbox.turn(settings, source):
        for file in _settled(source, settings, say):
            try:
                claimed = inbox.claim(file)
            except SourceFileError as error:
                refused.append(str(error))
                continue
            if claimed is None:
                say(f"{file.path.relative_to(settings.home)} stays in the inbox: it has changed, or is being written")
            else:
                _load(claimed, settings, say, loaded, refused)
    if refused:
        raise SourceFileError(
            f"{len(refused)} of the inbox's files could not be loaded, and are set aside: {'; '.join(refused)}. "
            "Correct them and drop them again, or rename them back, to try again"
        )
    return loaded


def _settled(source: str, settings: Settings, say: Callable[[str], object]) -> list[inbox.WaitingFile]:
    found = inbox.look(settings, source)
    if found.unsettled:
        time.sleep(inbox.SETTLED_SECONDS)
        found = inbox.look(settings, source, earlier=found)
    for file in found.unsettled:
        say(f"{file.path.relative_to(settings.home)} stays in the inbox: it may still be written")
    for passed in found.passed_over:
        say(f"{passed.path.relative_to(settings.home)} is not loaded: {passed.why}")
    return found.waiting


def _load(
    claimed: inbox.WaitingFile,
    settings: Settings,
    say: Callable[[str], object],
    loaded: list[IngestResult],
    refused: list[str],
) -> None:
    have_dbt_ready()  # new rows are to be built from
    try:
        (result,) = ingest_files(claimed.source, [claimed.path], settings, claimed.entity)
    except FileChangedError as error:
        say(f"{inbox.give_back(claimed).relative_to(settings.home)} stays in the inbox: {error}")
    except SourceFileError as error:
        refused.append(f"{error} ({inbox.set_aside(claimed, str(error)).relative_to(settings.home)})")
    except BaseException:
        inbox.give_back(claimed)
        raise
    else:
        loaded.append(result)
        if not inbox.delete_loaded(claimed, result.sha256):
            say(f"{result.file} was written to after it was loaded: it is in the inbox again, to be loaded whole")
