"""Keeps the lake small."""
