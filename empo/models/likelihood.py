"""How likely a model finds given replies: summed log-probabilities of every listener turn.

The yardstick behind reply perplexity and pair accuracy. Works on a plain base with PEFT adapters,
not on the streaming engine: whole dialogues in one pass, no sampling. A turn's text includes the
end-of-turn marker, which the model must also predict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from empo.errors import StackError
from empo.models.stacks import Source, Stack
from empo.prompts import neutralise, role_markers
from empo.types import Quantisation, Turn

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TOKENS_PER_BATCH = 2048
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class TurnScore:
    """One listener turn: −log p of its tokens given all before (nats), and how many there are."""

    nats: float
    tokens: int


class Reader:
    """How likely a loaded model finds the listener turns of dialogues. Not for several threads.

    `model`: a causal model, or one with PEFT's adapters, with the voice it has at the moment.
    `context` tokens at most are read; `where` is what errors call it.
    """

    def __init__(
        self,
        model: PeftModel | PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        context: int | None = None,
        where: str = "the model",
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.context, self.where = context, where
        self.markers = role_markers(tokenizer.chat_template or "", tokenizer.all_special_tokens)

    def turns(
        self, dialogues: Sequence[Sequence[Turn]], progress: Progress | None = None
    ) -> list[list[TurnScore]]:
        """For each dialogue, the scores of its listener turns in order.

        Dialogues longer than the context lose their end: the turns there score 0 tokens.

        Raises:
            StackError: the chat template does not mark replies.
        """
        import torch

        encoded = [self._encode(turns) for turns in dialogues]
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i][0]))
        found: list[list[TurnScore]] = [[] for _ in encoded]
        done = 0
        with torch.no_grad():  # what a model in training keeps must stay fit for training
            for batch in _batches(order, encoded):
                nats = self._nats([encoded[i][0] for i in batch], [encoded[i][1] for i in batch])
                for i, row in zip(batch, nats, strict=True):
                    replies = sum(turn.role == "assistant" for turn in dialogues[i])
                    found[i] = _by_turn(row, encoded[i][1], replies)
                done += len(batch)
                if progress:
                    progress(done, len(order))
        return found

    def _encode(self, turns: Sequence[Turn]) -> tuple[list[int], list[int]]:
        """Token ids, and for each the number (from 1) of its listener turn, else 0."""
        encoded = self.tokenizer.apply_chat_template(
            # The template's own guard against role markers in texts does not go with masks.
            [{"role": t.role, "content": neutralise(t.text, self.markers)} for t in turns],
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        mask = encoded["assistant_masks"]
        if not any(mask) and any(turn.role == "assistant" for turn in turns):
            raise StackError(
                f"The chat template of {self.where} does not mark replies with "
                "{% generation %}; replies cannot be told from the rest."
            )
        limit = self.context or len(mask)
        turn, owners, before = 0, [], 0
        for inside in mask:
            turn += bool(inside and not before)
            owners.append(turn if inside else 0)
            before = inside
        return encoded["input_ids"][:limit], owners[:limit]

    def _nats(self, ids: list[list[int]], owners: list[list[int]]) -> list[list[float]]:
        """−log p of each token that belongs to a reply, 0 elsewhere; rows as long as `ids`."""
        import torch
        from torch.nn.functional import cross_entropy

        device = self.model.device
        length = max(map(len, ids))
        tokens = torch.tensor([row + [0] * (length - len(row)) for row in ids]).to(device)
        real = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in ids])
        owned = torch.tensor([row + [0] * (length - len(row)) for row in owners]) > 0
        causal = self._causal()
        hidden = causal.base_model(
            input_ids=tokens, attention_mask=real.to(device), use_cache=False
        ).last_hidden_state
        wanted = owned[:, 1:].to(device)
        logits = causal.get_output_embeddings()(hidden[:, :-1][wanted]).float()
        values = cross_entropy(logits, tokens[:, 1:][wanted], reduction="none")
        nats = torch.zeros(tokens.shape, device=device)
        nats[:, 1:][wanted] = values
        return nats.cpu().tolist()

    def _causal(self) -> PreTrainedModel:
        """The causal model itself, in which PEFT has put its layers."""
        inner = getattr(self.model, "get_base_model", None)
        return inner() if inner else self.model


class Likelihood:
    """The models of `stack` on `device`, ready to score. Not for several threads at once.

    In fp32, or with the base quantised as it would be served.

    Raises:
        StackError: the base or an adapter cannot be loaded.
    """

    def __init__(
        self, stack: Stack, device: str = "cpu", quantisation: Quantisation | None = None
    ) -> None:
        self.stack = stack
        self.tokenizer, base = _load_base(stack.base, device, quantisation)
        self.model = _with_adapters(base, stack.adapters)
        self._reader = Reader(self.model, self.tokenizer, stack.context, stack.base.path)

    def score(
        self,
        model: str,
        dialogues: Sequence[Sequence[Turn]],
        progress: Progress | None = None,
    ) -> list[list[TurnScore]]:
        """For each dialogue, the scores of its listener turns in order, under the voice `model`.

        Dialogues longer than the model's context lose their end: the turns there score 0 tokens.

        Raises:
            UsageError: the stack has no such voice.
            StackError: the voice is a blend, or the chat template does not mark replies.
        """
        self.choose(model)
        return self._reader.turns(dialogues, progress)

    def choose(self, model: str) -> None:
        """Make `model` the voice that a plain call of `self.model` has.

        Raises:
            UsageError: the stack has no such voice.
            StackError: the voice is a blend.
        """
        adapter = self._adapter(model)
        if not self.stack.adapters:
            return
        if adapter is None:
            self.model.base_model.disable_adapter_layers()
        else:
            self.model.base_model.enable_adapter_layers()
            self.model.set_adapter(adapter, inference_mode=True)

    def _adapter(self, model: str) -> str | None:
        weights = dict(self.stack.model(model).adapters)
        if not weights:
            return None
        if len(weights) > 1 or set(weights.values()) != {1.0}:
            raise StackError(f"{model} is a blend of adapters; only single adapters can be scored.")
        return next(iter(weights))


def as_served(stack: Stack, quantisation: Quantisation | None = None) -> Likelihood:
    """The models of `stack` where and as they would be served: on the GPU where there is one, in
    nf4 there unless `quantisation` or the stack says otherwise.

    Raises:
        UsageError: an unknown quantisation.
        StackError: as `Likelihood`.
    """
    import torch

    from empo.models.loading import served_in

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Likelihood(stack, device, served_in(stack, quantisation))


def _by_turn(nats: Sequence[float], owners: Sequence[int], count: int) -> list[TurnScore]:
    """Sums by listener turn, of which there are `count`."""
    sums, sizes = [0.0] * count, [0] * count
    for value, owner in zip(nats, owners, strict=False):
        if owner:
            sums[owner - 1] += value
            sizes[owner - 1] += 1
    return [TurnScore(s, n) for s, n in zip(sums, sizes, strict=True)]


def _batches(
    order: Sequence[int], encoded: Sequence[tuple[list[int], list[int]]]
) -> list[list[int]]:
    """Runs of `order` (ascending length) with at most TOKENS_PER_BATCH tokens, padding included."""
    batches: list[list[int]] = []
    for i in order:
        size = len(encoded[i][0])
        if not batches or (len(batches[-1]) + 1) * size > TOKENS_PER_BATCH:
            batches.append([])
        batches[-1].append(i)
    return batches


def _location(source: Source) -> str:
    return str(source.folder or source.path)


def _load_base(
    source: Source, device: str, quantisation: Quantisation | None
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where, revision = _location(source), source.revision
    options: dict[str, Any] = {"dtype": torch.float32, "use_safetensors": True}
    if quantisation not in (None, "none"):
        from empo.models.loading import quantisation_config

        options |= {"quantization_config": quantisation_config(quantisation), "device_map": device}
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, revision=revision)
        model = AutoModelForCausalLM.from_pretrained(where, revision=revision, **options)
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise StackError(f"The base {source.path} cannot be loaded: {first}") from error
    return tokenizer, (model if "device_map" in options else model.to(device)).eval()


def _with_adapters(
    base: PreTrainedModel, adapters: Mapping[str, Source]
) -> PeftModel | PreTrainedModel:
    from peft import PeftModel

    model: PeftModel | PreTrainedModel = base
    for name, source in adapters.items():
        try:
            if isinstance(model, PeftModel):
                model.load_adapter(_location(source), adapter_name=name)
            else:
                model = PeftModel.from_pretrained(base, _location(source), adapter_name=name)
        except (OSError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise StackError(f"The adapter {source.path} cannot be loaded: {first}") from error
    return model.eval()
