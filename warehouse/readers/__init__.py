"""Read one file's rows as text: CSV, JSON lines, a workbook's sheet or Parquet; every row has its line."""

__all__ = [
    "csv_file",
    "csv_head",
    "csv_lines",
    "encodings",
    "json_lines",
    "limits",
    "opening",
    "parquet_file",
    "table_file",
    "text_stream",
    "workbook",
]
