"""Make the arena's deck of recorded replies anew, after the models or the situations changed.

Sixty situations of our own (assets/situations.yaml, assets/deck.yaml), answered by every model of
the stack: the same stack, device and seed give the same file.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from empo.cli.terminal import ProgressLine
from empo.data.deck import DECK, deck_situations
from empo.types import QUANTISATIONS


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack", default="nano", help="the stack whose models answer")
    parser.add_argument("--quantisation", choices=QUANTISATIONS)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first card")
    parser.add_argument("--out", type=Path, default=DECK, metavar="FILE.json")


def run(args: argparse.Namespace) -> int:
    from empo.deck import make_deck, write_deck
    from empo.models.inventory import choose_stack
    from empo.models.loading import load_engine
    from empo.ui.share import starting_sampling

    situations = deck_situations()
    stack = choose_stack(args.stack)
    engine = load_engine(stack, args.quantisation)
    line = ProgressLine()
    try:
        deck = make_deck(
            engine,
            situations,
            replace(starting_sampling(stack), seed=args.seed),
            lambda done: line.show(f"{done} of {len(situations)} situations answered"),
        )
    finally:
        engine.close()
    write_deck(deck, args.out)
    line.show(f"{len(deck.cards)} cards of {deck.title} are in {args.out}", last=True)
    return 0
