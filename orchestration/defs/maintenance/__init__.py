"""What keeps the lake small."""
