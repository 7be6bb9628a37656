"""What `loanlake run` refuses before it starts anything."""

import pytest

from orchestration.main_run import run_main_path
from warehouse.errors import RunRefused
from warehouse.settings import Settings


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("lending_club", r"`loanlake run lending_club FILE…`$"),
        ("lending_clubb", r"did you mean lending_club\?$"),
        ("mybank", r"no file of 'mybank' was loaded yet"),
    ],
)
def test_a_source_without_any_file_is_refused_before_anything_is_built(tmp_path, source, said):
    settings = Settings.from_environment({"LOANLAKE_HOME": str(tmp_path)})

    with pytest.raises(RunRefused, match=said):
        run_main_path({"source": source, "files": []}, settings)

    assert not list(tmp_path.iterdir())
