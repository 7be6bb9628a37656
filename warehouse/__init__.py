"""The lake, the sources that fill it and the contracts of its tables. Imports nothing of ml, serving or orchestration."""
