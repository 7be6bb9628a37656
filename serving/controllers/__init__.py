"""HTTP handlers by area: each reads the request, calls one service and names its answers."""
