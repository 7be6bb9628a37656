"""The ``loanlake`` command: groups of commands that each package contributes, and the options that they share."""

from warehouse.cli.main import loanlake, main

__all__ = ["loanlake", "main", "options"]
