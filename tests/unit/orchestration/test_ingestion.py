"""A lender that a run could build nothing for."""

import pytest

from orchestration.defs.ingestion.assets import require_models
from warehouse.errors import SourceFileError


def test_a_lender_that_no_model_reads_is_refused_by_name() -> None:
    """Its files stayed in the inbox, and the run that was started for them ended green."""
    with pytest.raises(SourceFileError, match=r"found 'lending_clubb', and models of .*lending_club.*raw.bank_loans"):
        require_models("lending_clubb", ["raw.bank_loans"])
    with pytest.raises(SourceFileError, match="found 'bank'"):
        require_models("bank", [])

    require_models("bank", ["raw.bank_loans"])
    require_models("lending_club", [])
