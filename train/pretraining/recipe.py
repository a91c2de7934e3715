"""A pretraining's recipe: every fact of it in one strictly checked YAML file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from empo.training.recipe import NAME, Count, Fraction, Positive


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Steps(_Strict):
    """`optimiser`: AdamW for all, or Muon for the layers' matrices and AdamW for the rest.

    Of all tokens, the rate rises over the share `warmup`, holds, and falls in a straight line to 0
    over the share `decay`. A step has `batch` windows, and `late_batch` once the share `late` is
    done; `micro` of them go through the network at once.
    """

    optimiser: Literal["adamw", "muon"] = "muon"
    learning_rate: Positive
    warmup: Fraction = 0.03
    decay: Fraction = 0.8
    batch: Count = 8
    late_batch: Count = 8
    late: Fraction = 1.0
    micro: Count = 8
    beta2: Fraction = 0.95
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    clip: Positive = 1.0


class PretrainRecipe(_Strict):
    """`tokens` are read in windows of `window`, each made of whole documents where they fit.

    `base`: the folder of the model, its tokenizer and its configuration; `fresh` begins from
    random weights of that shape instead. `train`, `valid`: files of EMPO_DATA; of `train`, the
    documents most like EmpatheticDialogues' training split are read, up to `share` of its tokens
    (1: all). `average`: the decay of the running mean of the weights, which is kept if it does
    better (0: none). `of_base`: how far the result lies back towards the weights it began with
    (Wortsman et al. 2022, *Robust fine-tuning of zero-shot models*; 0: not at all). `watched`:
    validation windows to measure on the way; at both ends all are.
    """

    kind: Literal["pretrain"]
    name: Annotated[str, Field(pattern=NAME)]
    base: str
    out: str
    fresh: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    train: str = "pretraining_tokens_train.npy.xz"
    valid: str = "pretraining_tokens_valid.npy.xz"
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    tokens: Count
    window: Annotated[int, Field(ge=8)] = 512
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    of_base: Annotated[float, Field(ge=0, lt=1)] = 0.0
    evaluations: Count = 10
    watched: Count = 40
    checkpoints: Count = 10
    compiled: bool = True
    steps: Steps

    @model_validator(mode="after")
    def _something_to_lie_back_to(self) -> PretrainRecipe:
        if self.fresh and self.of_base:
            raise ValueError("of_base goes back towards the base, and fresh does not begin there")
        return self
