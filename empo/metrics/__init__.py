"""Metrics: pure functions on numbers and texts, each with its source in its module."""
