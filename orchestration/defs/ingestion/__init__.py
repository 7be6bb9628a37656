"""Loads files into raw tables."""
