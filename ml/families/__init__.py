"""The kinds of model that can be trained: what each must do, and a catalogue by name."""

__all__ = ["catalogue", "ensemble", "linear", "protocol", "settings", "single", "tab_transformer", "tree_based"]
