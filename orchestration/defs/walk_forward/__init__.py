"""History walked forward, month by month."""
