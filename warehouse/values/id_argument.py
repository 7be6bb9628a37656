"""Ids as command arguments, parsed as in files and requests."""

import click

from warehouse.errors import FormatError
from warehouse.values.formats import read_id


class IdArgument(click.ParamType[str]):
    """A platform id such as ``lc-member-123``, in any Unicode form and with or without surrounding blanks."""

    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id; ends the command if it is missing."""
        try:
            found = read_id(value)
        except FormatError as error:
            self.fail(f"must be {error}: found {value[:100]!r}", param, ctx)
        if found is None:
            self.fail(f"must be an id: {value[:100]!r} means a missing one", param, ctx)
        return found
