"""The kinds of model that can be trained: what each must be able to do, and where each is found by its name."""

#: The modules that other rooms may import.
__all__ = ["boosted_trees", "catalogue", "logistic", "protocol"]
