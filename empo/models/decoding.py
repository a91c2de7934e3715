"""The decoding loop: all rows of a comparison in one batch, one forward pass per token.

Row i is voice i. Rows whose prompts differ in length are padded on the left; a row that has ended
leaves the batch, its cache with it. The loop is a plain generator and knows nothing of threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from tokenizers.decoders import DecodeStream

from empo.models.cache import roomy_cache
from empo.models.encoding import Encoder
from empo.models.engine import Row, Step
from empo.models.lora import Blend
from empo.models.token_sampling import Draw, next_tokens
from empo.types import Reply, StoppedBy

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Voice:
    """One row on its way: ids so far, text so far, what is held back, and why it ended."""

    def __init__(self, index: int, row: Row, encoder: Encoder) -> None:
        self.index = index
        self.row = row
        self.ids, self.dropped = encoder.fit(row.messages, row.sampling.max_new_tokens)
        self.draw = Draw(row.sampling)
        self.tokens = 0
        self.text = ""
        self.held = ""  # could be the start of a stop string, or blank space at an end
        self.stopped_by: StoppedBy | None = None
        self._decode = DecodeStream(skip_special_tokens=True)
        self._tokenizer = encoder.tokenizer._tokenizer

    def accept(self, token: int, ends: frozenset[int]) -> str:
        """Take the next token; the text that can be shown now."""
        if token in ends:
            return self.end("end")
        self.ids.append(token)
        self.tokens += 1
        piece = self._decode.step(self._tokenizer, token) or ""
        fresh = self._release(self.held + piece)
        if self.stopped_by is None and self.tokens == self.row.sampling.max_new_tokens:
            fresh += self.end("length")
        return fresh

    def _release(self, text: str) -> str:
        """What of `text` is certain: no stop string, no start of one, no blank end."""
        if not self.text:
            text = text.lstrip()
        if found := [at for stop in self.row.stop if (at := text.find(stop)) >= 0]:
            self.held = ""
            self.stopped_by = "stop"
            return self._show(text[: min(found)].rstrip())
        keep = len(text)
        for stop in self.row.stop:
            for size in range(min(len(stop) - 1, len(text)), 0, -1):
                if text.endswith(stop[:size]):
                    keep = min(keep, len(text) - size)
                    break
        keep = len(text[:keep].rstrip())
        self.held = text[keep:]
        return self._show(text[:keep])

    def end(self, why: StoppedBy) -> str:
        """End here; the rest of the text that was held back."""
        self.stopped_by = why
        rest, self.held = self.held.rstrip(), ""
        return self._show(rest)

    def _show(self, text: str) -> str:
        self.text += text
        return text


class Decoder:
    """A model with its blend of adapters and its encoder, ready to answer. One thread at a time."""

    def __init__(
        self, model: PreTrainedModel, blend: Blend, encoder: Encoder, ends: frozenset[int]
    ) -> None:
        self.model = model
        self.blend = blend
        self.encoder = encoder
        self.ends = ends
        self.device = model.device

    @torch.inference_mode()
    def decode(self, rows: Sequence[Row], stopped: Callable[[int], bool]) -> Iterator[Step]:
        """Answer `rows`; `stopped(row)` is asked before every pass, True ends it as cancelled.

        Raises:
            UsageError: a message that does not fit.
        """
        start = time.monotonic()
        voices = [Voice(i, row, self.encoder) for i, row in enumerate(rows)]
        self.blend.use([row.adapters for row in rows], self.device)
        pass_ = _Pass(self.model, [voice.ids for voice in voices])
        first = None
        live = voices
        while True:
            texts = {v.index: v.end("cancelled") for v in live if stopped(v.index)}
            if len(texts) < len(live):
                drawn = next_tokens(pass_.logits(), [v.draw for v in live], [v.ids for v in live])
                texts |= {
                    v.index: v.accept(t, self.ends)
                    for v, t in zip(live, drawn, strict=True)
                    if not v.stopped_by
                }
            now = time.monotonic() - start
            first = now if first is None else first
            ended = {v.index: _reply(v, now, first) for v in live if v.stopped_by}
            yield Step({row: text for row, text in texts.items() if text}, ended)
            left = [i for i, voice in enumerate(live) if not voice.stopped_by]
            if not left:
                return
            if ended:
                kept = torch.tensor(left, device=self.device)
                self.blend.keep(kept)
                pass_.keep(kept)
            live = [live[i] for i in left]
            pass_.feed([voice.ids[-1] for voice in live])


def _reply(voice: Voice, seconds: float, first: float) -> Reply:
    return Reply(
        model=voice.row.model,
        text=voice.text,
        tokens=voice.tokens,
        seconds=seconds,
        first_token_seconds=first,
        stopped_by=voice.stopped_by or "end",
        dropped_turns=voice.dropped,
    )


class _Pass:
    """The batch between two forward passes: what to feed, where it stands, the cache."""

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> None:
        self.model = model
        longest = max(map(len, prompts))
        pads = [longest - len(ids) for ids in prompts]
        device = model.device
        # The pad id is never looked at; 0 exists in every vocabulary.
        self.ids = torch.tensor(
            [[0] * pad + list(ids) for pad, ids in zip(pads, prompts, strict=True)], device=device
        )
        self.mask: torch.Tensor | None = None
        self.positions = torch.arange(longest, device=device).expand(len(prompts), -1)
        if any(pads):
            gaps = torch.tensor(pads, device=device)[:, None]
            self.mask = (self.positions >= gaps).long()
            self.positions = (self.positions - gaps).clamp(min=0)
        self.cache = roomy_cache()

    def logits(self) -> torch.Tensor:
        """The logits of the next token, (rows, vocabulary); moves the batch on."""
        return self.model(
            input_ids=self.ids,
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]

    def feed(self, tokens: Sequence[int]) -> None:
        """The next token of each row still in the batch."""
        self.ids = torch.tensor(tokens, device=self.ids.device).unsqueeze(1)
        self.positions = self.positions[:, -1:] + 1
        if self.mask is not None:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)

    def keep(self, rows: torch.Tensor) -> None:
        """Only these rows go on."""
        self.cache.batch_select_indices(rows)
        self.positions = self.positions[rows]
        if self.mask is not None:
            self.mask = self.mask[rows]
