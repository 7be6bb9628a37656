"""Files become raw tables."""
