"""How a column writes its values: pure rules over the shapes of its texts, for numbers and for dates."""

from warehouse.profiling.spelling.dates import pivot_of
from warehouse.profiling.spelling.keys import require_key
from warehouse.profiling.spelling.numbers import marks_of
from warehouse.profiling.spelling.spellings import Kind, Spelling, spelling_of

__all__ = ["Kind", "Spelling", "marks_of", "pivot_of", "require_key", "spelling_of"]
