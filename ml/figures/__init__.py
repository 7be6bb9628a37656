"""Pictures as data, and their HTML: SVG or a table, with a description and every figure beside it; no script, no style.

Knows nothing of lenders and loans. A page and a report draw the same :mod:`shapes <ml.figures.shapes>`.
"""

__all__ = ["elements", "forms", "rendering", "shapes"]
