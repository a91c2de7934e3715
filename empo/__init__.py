"""EmPO Space: compare, vote on, train and measure empathetic dialogue models.

The floors of the package, from top to bottom; a module imports only from floors below its own:

5  app.py  |  empo/__main__.py, empo/cli/ (the command line)
4  empo/ui/  |  train/                                       never each other
3  empo/compare.py, pairs/, evaluation/, ...                 use-cases: wire the siblings together
2  empo/data/ | models/ | scoring/ | metrics/ | arena/ | training/ | hub/   never each other
1  empo/prompts.py, settings.py, sampling.py, danger.py
0  empo/types.py, errors.py

Use-cases may use one another, without circles; within one folder imports are free.
Gradio lives in empo/ui/ and app.py only; torch, transformers and peft in empo/models/,
empo/scoring/, empo/metrics/, empo/training/progress.py and train/, imported as late as is natural.
`tests/test_floors.py` proves all of this from the syntax trees.
"""

__version__ = "0.1.0"
