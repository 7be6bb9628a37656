"""The page at ``/`` for people: what is served, what was decided lately, and any decision with its reasons drawn.

Rendered on the server with Jinja2, one style sheet, no script. It changes nothing: approvals and rollbacks stay calls
and commands, which a browser with a key in its memory cannot be tricked into.
"""

#: The modules that other rooms may import.
__all__ = [
    "controller",
    "overview",
]
