"""A batch's directory: the rows that were sent, and their results.

Rows are lines of JSON, durable before the batch is accepted. A rename makes results appear whole. A run that works on
the batch holds a lock here, which the operating system frees however the run ends.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import msgspec

from warehouse.files.drafts import draft_file
from warehouse.files.replacing import put_in_place, to_disk
from warehouse.settings import Settings
from warehouse.team import push, restore, shared_turn_if_free

#: Below the directory of all batches: the sent rows, complete or drafts.
SENT = "*/rows.jsonl"
SENT_DRAFTS = "*/.rows.jsonl.*"


class SentRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row as the API accepted it: its validated ``request`` or the ``problem`` with it, both JSON text.

    The ids that could be read are kept in both cases: results and the search for a person's rows need them.
    """

    row_number: int
    application_id: str | None = None
    borrower_id: str | None = None
    request: str | None = None
    problem: str | None = None


class BatchFiles:
    """The files of one batch."""

    def __init__(self, settings: Settings, batch_id: str):
        self._settings = settings
        self.directory = settings.batches / batch_id
        #: The rows that were sent, or copied from a table.
        self.rows = self.directory / "rows.jsonl"
        #: Rows of ``serving.batch_scores``; once it exists, scoring is complete and at most publishing remains.
        self.results = self.directory / "results.parquet"
        #: The decisions, until they are in the decision log.
        self.decisions = self.directory / "decisions.parquet"

    def write_rows(self, rows: Iterable[SentRow]) -> None:
        """Make the rows of a new batch durable; an error leaves none of them."""
        encoder = msgspec.json.Encoder()
        try:
            with self.draft_of(self.rows).open("wb") as file:
                file.writelines(encoder.encode(row) + b"\n" for row in rows)
            self.put(self.rows)
            to_disk(self.directory.parent)
        except BaseException:
            self.remove()
            raise

    def read_rows(self, at_once: int) -> Iterator[list[SentRow]]:
        """The rows in their order, in blocks."""
        decoder = msgspec.json.Decoder(SentRow)
        with self.rows.open("rb") as file:
            while some := [decoder.decode(line) for line in islice(file, at_once)]:
                yield some

    def draft_of(self, path: Path) -> Path:
        """The path for this process's draft of a file, before :meth:`put` renames it."""
        self._make_directory()
        return draft_file(path)

    def put(self, path: Path) -> None:
        """Make a draft durable, then rename it."""
        put_in_place(self.draft_of(path), path)
        push(self._settings, path)

    def fetch(self) -> None:
        """Bring the files from the machine of a team that wrote them."""
        restore(self._settings, self.directory)

    def remove_results(self) -> None:
        """Remove what an attempt left: unfinished drafts, and results that were not published."""
        for path in (self.results, self.decisions):
            for left in (path, *path.parent.glob(f".{path.name}.*")):
                left.unlink(missing_ok=True)
            push(self._settings, path)

    def remove(self) -> None:
        """Remove the whole directory."""
        shutil.rmtree(self.directory, ignore_errors=True)
        push(self._settings, self.directory)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Hold the lock for work on this batch; False if another process holds it."""
        self._make_directory()
        with shared_turn_if_free(self._settings, self.directory / "turn.lock") as is_ours:
            yield is_ours

    def is_worked_on(self) -> bool:
        """Whether a living process holds the lock."""
        if self._settings.catalog is None and not self.directory.exists():
            return False
        with self.turn() as is_ours:
            return not is_ours

    def _make_directory(self) -> None:
        for directory in (self.directory.parent, self.directory):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)


def sent_rows(settings: Settings) -> Iterator[tuple[str, SentRow]]:
    """Every sent row that is still kept, with the id of its batch; complete rows of drafts too."""
    restore(settings, settings.batches)
    decoder = msgspec.json.Decoder(SentRow)
    for path in sorted((*settings.batches.glob(SENT), *settings.batches.glob(SENT_DRAFTS))):
        with suppress(FileNotFoundError), path.open("rb") as file:  # a draft may have been renamed or removed
            for line in file:
                if line.endswith(b"\n"):
                    yield path.parent.name, decoder.decode(line)


def remove_unknown(settings: Settings, is_known: Callable[[str], bool], *, before: float) -> int:
    """Remove directories older than ``before`` (Unix time) without a batch (from a killed process); their number."""
    if not settings.batches.exists():
        return 0
    unknown = [
        path
        for path in settings.batches.iterdir()
        if path.is_dir() and path.stat().st_mtime < before and not is_known(path.name)
    ]
    for path in unknown:
        shutil.rmtree(path, ignore_errors=True)
    return len(unknown)
