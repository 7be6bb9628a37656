"""Feature SQL: point in time, builds, and the compiler of a request's features."""
