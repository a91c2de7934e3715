"""Training entries: `python -m train.sft` and `python -m train.dpo`, and their recipes.

An entry is one screen: parse, build, train, save. A recipe is one YAML file in train/recipes/
that says everything a run depends on; nothing it does not know passes through.
"""
