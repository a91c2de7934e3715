"""Scores of replies: how empathetic, how pleasant. The same for live charts and for evaluation."""
