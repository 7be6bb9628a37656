"""Which assets are materialised together, and when."""
