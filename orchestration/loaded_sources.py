"""Which lenders' files the lake holds."""

from warehouse.errors import LakeError
from warehouse.settings import Settings


def loaded_sources(settings: Settings) -> frozenset[str]:
    """Sources with at least one file in the lake; none where there is no lake yet."""
    from warehouse.lake import connect

    try:
        con = connect(settings)
    except LakeError:
        return frozenset()  # no lake yet
    with con:
        return frozenset(source for (source,) in con.execute("select distinct source from raw.files").fetchall())
