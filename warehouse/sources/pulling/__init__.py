"""Pull rows from databases and HTTP APIs through dlt into landing files, which are loaded as any other file is.

dlt extracts; the lake alone says how far it came: each pull's cursor is committed with its rows in ``raw.files``.
"""

__all__ = ["pull"]
