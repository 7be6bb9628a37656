"""The page at ``/`` for people: what is served, recent decisions, alerts, and any decision with its reasons as a chart.

Rendered on the server with Jinja2, without script. It changes nothing: approvals and rollbacks need a call or a
command, which another site's page cannot make a browser send.
"""

__all__ = [
    "alerts",
    "controller",
    "overview",
]
