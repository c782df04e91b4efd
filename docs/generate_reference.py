"""The old name of docs/generate.py, for what still imports it."""

from docs.generate import REFERENCE, main, stale

__all__ = ["REFERENCE", "main", "stale"]
