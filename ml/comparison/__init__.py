"""Compare families of models: trained on the same rows, measured on the same test loans; nothing is registered."""

__all__ = ["comparing", "figures", "pictures", "tables", "tracking"]
