"""The list of erased persons beside the backups: who is erased stays so after an older backup is restored.

An entry is the person's mark (a keyed hash, :meth:`warehouse.people.pseudonyms.Pseudonyms.mark`), when, and how they
were erased. An erasure adds it before it is complete; each backup adds what is missing. Entries outlive the backups.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime

import duckdb
import msgspec

from warehouse.backup.store import ERASURES
from warehouse.backup.target import Target
from warehouse.errors import BackupError, NoLakeError
from warehouse.lake.connection import connect
from warehouse.people.person import all_borrowers
from warehouse.people.pseudonyms import pseudonyms
from warehouse.settings import Erasure, Settings


class ErasedPerson(msgspec.Struct, frozen=True):
    """``erased_at``: of the last time, naive UTC."""

    mark: str
    erased_at: datetime
    treatment: Erasure


def note_erasure(target: Target, person: ErasedPerson) -> None:
    """Add a person to the list."""
    target.write(f"{ERASURES}/{person.mark}", msgspec.json.encode(person))
    target.flush()


def note_erasures(settings: Settings, target: Target) -> int:
    """Add the home's erased persons that the list lacks; returns their number."""
    known = {name.rpartition("/")[2] for name in target.sizes(ERASURES)}
    listed = {person.mark: person for person in erased_persons(target)} if known else {}
    missing = [
        person
        for person in _recorded(settings)
        if person.mark not in listed or listed[person.mark].erased_at < person.erased_at
    ]
    for person in missing:
        note_erasure(target, person)
    return len(missing)


def erased_persons(target: Target) -> list[ErasedPerson]:
    """The list."""
    found = []
    for name in target.sizes(ERASURES):
        try:
            found.append(msgspec.json.decode(target.read(name), type=ErasedPerson))
        except msgspec.DecodeError as error:
            raise BackupError(f"{name} in {target} must name an erased person: {error}") from error
    return found


def erased_since(settings: Settings, target: Target, moment: datetime) -> list[ErasedPerson]:
    """The list, of erasures at or after ``moment`` (naive UTC), and of those that the home's own record lacks.

    The record does not depend on the clock, which may have been ahead when a backup was made.
    """
    recorded = {person.mark: person.erased_at for person in _recorded(settings)}
    return [
        person
        for person in erased_persons(target)
        if person.erased_at >= moment or recorded.get(person.mark, datetime.min) < person.erased_at
    ]


def still_held(settings: Settings, persons: list[ErasedPerson]) -> Iterator[tuple[str, ErasedPerson]]:
    """Borrower ids that the home has of these persons.

    Their ids are not in the list: every borrower of the home is marked with the home's key and compared.
    """
    wanted = {person.mark: person for person in persons}
    if not wanted:
        return
    marks = pseudonyms(settings)
    with closing(connect(settings)) as con:
        borrowers = sorted(all_borrowers(settings, con))
    for borrower_id in borrowers:
        person = wanted.get(marks.mark(borrower_id))
        if person is not None:
            yield borrower_id, person


def erased_after(settings: Settings, target: Target) -> Callable[[str, float], bool]:
    """Says of a borrower's id and a Unix time whether the list has them as erased after it."""
    erased = {person.mark: person.erased_at.replace(tzinfo=UTC).timestamp() for person in erased_persons(target)}
    marks = pseudonyms(settings)
    return lambda borrower_id, moment: erased.get(marks.mark(borrower_id), 0.0) > moment


def _recorded(settings: Settings) -> list[ErasedPerson]:
    try:
        con = connect(settings)
    except NoLakeError:
        return []
    with closing(con):
        try:
            rows = con.execute(
                "select person, max(requested_at), max_by(treatment, requested_at) from serving.person_requests "
                "where kind = 'erase' and person is not null group by person order by person"
            ).fetchall()
        except duckdb.CatalogException:
            return []  # no program has written to this lake yet
    return [ErasedPerson(mark, at, treatment) for mark, at, treatment in rows]
