"""``python -m orchestration.dbt_process DESCRIPTOR``: the ready process, on the listening socket that it was given."""

import socket
import sys

from orchestration.dbt_process.ready import serve

if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
