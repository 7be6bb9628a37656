"""From a model's raw scores to probabilities, and how sure each of them is: calibrators, Venn-Abers intervals."""

__all__ = ["calibrators", "venn_abers"]
