"""Measure the models of a stack, or recorded replies, with baselines and intervals.

`run.evaluate` does it: replies are generated (`generate`) or read (`collect`), measured one by one
(`measure`, `likelihoods`), summed up (`summary`), set beside baselines (`baselines`) and compared
(`comparisons`); `report` and `page` write what comes of it. A report is a plain dictionary that
JSON can hold; see `report`.
"""
