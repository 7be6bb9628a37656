"""Sign-in in front of Dagster, MLflow and the reports.

Neither tool has a login, and both can change what is served. They listen on Unix sockets that only the home's owner can
open. One Loanlake process owns the ports for browsers: it passes on only requests of a signed-in person from the page
itself. docs/interfaces.md lists what each page allows.
"""

from orchestration.doors.sign_in import SignIn, door_address, sign_in_url

__all__ = [
    "SignIn",
    "backend",
    "door",
    "door_address",
    "sign_in_url",
]
