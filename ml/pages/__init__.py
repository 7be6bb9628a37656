"""Pages about models, monitoring and the portfolio: prepared when the tables change, and served or printed as they are.

A builder reads prepared tables and returns a :class:`~ml.pages.document.Document`. Reading a page opens no lake.
"""

__all__ = ["commands", "document", "features", "models", "preparing", "rendering", "report"]
