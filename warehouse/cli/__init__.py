"""The ``loanlake`` command: each package contributes groups of commands; shared options are here."""

from warehouse.cli.main import loanlake, main

__all__ = ["loanlake", "main", "options"]
