"""Stacks of models and the engines that answer with them."""
