"""Preference pairs: made of dialogues, measured, and shown as a page that stands alone."""

from empo.pairs.make import make_pairs, paper_pairs

__all__ = ["make_pairs", "paper_pairs"]
