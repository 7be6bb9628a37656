"""Keys of a lender's file that a proposal does not write."""

import pytest

from warehouse.errors import SettingError
from warehouse.lenders.kept_keys import with_kept_keys


def test_a_key_is_kept_with_its_lines_and_comments() -> None:
    existing = "# a\ntitle: Old\n# b\nconnections:\n  core:\n\n    kind: http  # c\n# d\n\n'pull_every': day"

    text, kept = with_kept_keys("title: New\nlabel: {}", existing, "x.yml")

    assert (
        text == "title: New\nlabel: {}\n# b\nconnections:\n  core:\n\n    kind: http  # c\n# d\n\n'pull_every': day\n"
    )
    assert kept == ("connections", "pull_every")


@pytest.mark.parametrize("existing", ["{pull_every: day}", "request: &a {}\npolicy: *a\n", "- a\n", "a: [\n"])
def test_a_file_that_cannot_be_kept_in_part_is_refused(existing: str) -> None:
    with pytest.raises(SettingError, match=r"^x\.yml must "):
        with_kept_keys("title: New\n", existing, "x.yml")
