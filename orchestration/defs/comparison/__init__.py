"""Families of models beside each other, on the current training set."""
