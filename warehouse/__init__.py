"""The lake, the sources that fill it, the contracts of its tables. Imports nothing of ml, serving, orchestration."""
