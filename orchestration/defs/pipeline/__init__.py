"""What is materialised together, and when."""
