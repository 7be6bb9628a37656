"""Sign-in in front of Dagster, MLflow and the reports: what a request needs before it reaches them.

Neither tool has a login, and both can change what is served. They listen on Unix sockets that only the home's owner can
open. One Loanlake process owns the ports that a browser opens: it refuses requests that do not come from a signed-in
person on the page itself, and passes the others on. docs/interfaces.md says what each page allows.
"""

from orchestration.doors.sign_in import SignIn, door_address, sign_in_url

__all__ = [
    "SignIn",
    "backend",
    "door",
    "door_address",
    "sign_in_url",
]
