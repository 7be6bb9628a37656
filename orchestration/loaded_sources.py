"""Which lenders' files the lake holds."""

from warehouse.errors import NoLakeError
from warehouse.settings import Settings


def loaded_sources(settings: Settings) -> frozenset[str]:
    """Sources with at least one file in the lake; none where there is no lake yet.

    Raises LakeError where there is one that cannot be read.
    """
    from warehouse.lake import connect

    try:
        con = connect(settings)
    except NoLakeError:
        return frozenset()
    with con:
        return frozenset(source for (source,) in con.execute("select distinct source from raw.files").fetchall())
