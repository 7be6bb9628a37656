"""Lenders with files in the lake, and lenders that dbt models read."""

from warehouse.errors import NoLakeError
from warehouse.lake.connection import connect
from warehouse.raw import SOURCES, raw_table
from warehouse.raw.keys import kept_manifest
from warehouse.settings import Settings


def loaded_sources(settings: Settings) -> frozenset[str]:
    """Sources with a file in the lake, if any; raises LakeError for an unreadable lake."""
    try:
        con = connect(settings)
    except NoLakeError:
        return frozenset()
    with con:
        return frozenset(source for (source,) in con.execute("select distinct source from raw.files").fetchall())


def is_read_by_models(settings: Settings, source: str) -> bool:
    """Whether a dbt model reads a raw table of the lender, by the home's last parse; True before any."""
    manifest = kept_manifest(settings)
    if source in SOURCES or manifest is None:
        return True
    read = (f"{node['schema']}.{node['identifier']}" for node in manifest["sources"].values())
    return any(table.startswith(raw_table(source, "")) for table in read)
