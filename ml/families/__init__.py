"""The kinds of model that can be trained: what each must do, and a catalogue by name."""

__all__ = ["boosted_trees", "catalogue", "ensemble", "logistic", "protocol", "scorecard", "scorecard_table", "single"]
