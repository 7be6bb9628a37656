"""Files for DuckDB, which reads names as patterns and folders such as ``region=north`` as columns."""

import glob
from pathlib import Path

from warehouse.sql.quoting import literal


def parquet(path: Path, *options: str) -> str:
    """SQL for the rows of this one Parquet file, whatever its name and folder.

    >>> parquet(Path("/home/what?/*.parquet"), "file_row_number = true")
    "read_parquet('/home/what[?]/[*].parquet', hive_partitioning = false, file_row_number = true)"
    """
    arguments = (literal(glob.escape(str(path))), "hive_partitioning = false", *options)
    return f"read_parquet({', '.join(arguments)})"
