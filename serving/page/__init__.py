"""Pages for people: what is served, models, monitoring, the portfolio, alerts, and any decision with its reasons.

Rendered on the server with Jinja2, without script. It changes nothing: approvals and rollbacks need a call or a
command, which another site's page cannot make a browser send.
"""

__all__ = [
    "alerts",
    "controller",
    "figure_controller",
    "figures",
    "frame",
    "overview",
    "rendering",
]
