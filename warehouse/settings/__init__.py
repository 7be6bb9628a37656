"""Settings: every ``LOANLAKE_…`` variable is declared beside what it configures, and read from the environment here."""

from warehouse.settings.checkout import DBT_PROJECT_DIR, IS_CLONE, REPOSITORY
from warehouse.settings.home import KEY_LIFE, Erasure, Settings, memory_bytes
from warehouse.settings.pages import PageUrls, Ports
from warehouse.settings.postgres_uri import postgres_uri
from warehouse.settings.sqlite_uri import sqlite_uri
from warehouse.settings.variable import Variable, listed, read

__all__ = [
    "DBT_PROJECT_DIR",
    "IS_CLONE",
    "KEY_LIFE",
    "REPOSITORY",
    "Erasure",
    "PageUrls",
    "Ports",
    "Settings",
    "Variable",
    "listed",
    "memory_bytes",
    "postgres_uri",
    "read",
    "registry",
    "sqlite_uri",
    "variable",
]
