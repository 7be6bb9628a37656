"""The same id gives the same pseudonym, and only the key leads back."""

import stat
from dataclasses import replace
from pathlib import Path

from warehouse.people.pseudonyms import Pseudonyms, pseudonyms
from warehouse.settings import Settings


def _settings(home: Path) -> Settings:
    return Settings.from_environment({"LOANLAKE_HOME": str(home)})


def test_the_key_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    settings = _settings(tmp_path)

    first, second = pseudonyms(settings).of("b-1"), pseudonyms(settings).of("b-1")

    assert first == second
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (settings.erasures, settings.erasures / "key")]
    assert modes == [0o700, 0o600]


def test_another_key_gives_another_pseudonym(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    given = replace(settings, erasure_key="x" * 32)

    assert pseudonyms(settings).of("b-1") != pseudonyms(given).of("b-1")
    assert pseudonyms(given) == pseudonyms(given)


def test_a_pseudonym_reads_as_an_id_of_its_lender_does() -> None:
    """Staging reads Lending Club's ids through a double: what it cannot hold exactly would be refused, or another's."""
    names = Pseudonyms(b"key", ("lc-", "lc-member-"))

    found = [names.of(f"lc-member-{number}").removeprefix("lc-member-") for number in range(2_000)]

    assert all(str(int(float(text))) == text for text in found)
    assert len(set(found)) == len(found)


def test_what_a_request_calls_a_person_leads_to_no_row() -> None:
    names = Pseudonyms(b"key")

    assert names.of("b-1") not in names.mark("b-1")
    assert names.mark("b-1") != names.mark("b-2")
