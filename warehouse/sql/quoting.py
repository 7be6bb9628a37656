"""Names and string literals, quoted for DuckDB."""


def literal(text: str) -> str:
    """A string literal.

    >>> literal("Murphy's")
    "'Murphy''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def identifier(*names: str) -> str:
    """A name, or names joined by dots.

    >>> identifier("features", 'the "x" of it')
    '"features"."the ""x"" of it"'
    """
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)
