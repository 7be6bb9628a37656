"""The doors of ``loanlake up``: what a request must be before it reaches Dagster, MLflow or the reports.

Neither tool has a login, and both can change what is served. They listen on Unix sockets that only the home's owner can
open. The ports that a browser opens belong to one process of ours: it refuses what does not come from a signed-in
person on the page itself, and passes the rest on. docs/interfaces.md says what each page allows.
"""

from orchestration.doors.sign_in import SignIn, door_address, sign_in_url

__all__ = [
    "SignIn",
    "backend",
    "door",
    "door_address",
    "sign_in_url",
]
