"""A key-value cache with room ahead: a new token is written, the old ones are not copied again."""

from __future__ import annotations

import torch
from transformers import Cache
from transformers.cache_utils import DynamicLayer

_ROOM = 64  # tokens


class RoomyLayer(DynamicLayer):
    """As transformers' `DynamicLayer` (keys and values of shape (rows, heads, tokens, size)), but
    both are views into buffers that are enlarged only every `_ROOM` tokens."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append, and return all keys and values so far."""
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if (
            not start
            or self.keys.shape[0] != self._room[0].shape[0]
            or end > self._room[0].shape[2]
        ):
            self._room = tuple(
                self._enlarged(old, new, start, end + _ROOM)
                for old, new in ((self.keys, key_states), (self.values, value_states))
            )
            self.is_initialized = True
        for room, new in zip(self._room, (key_states, value_states), strict=True):
            room[:, :, start:end] = new
        self.keys, self.values = (room[:, :, :end] for room in self._room)
        return self.keys, self.values

    @staticmethod
    def _enlarged(
        old: torch.Tensor | None, like: torch.Tensor, start: int, size: int
    ) -> torch.Tensor:
        room = like.new_empty(*like.shape[:2], size, like.shape[3])
        if start:
            room[:, :, :start] = old
        return room


def roomy_cache() -> Cache:
    """An empty cache for any number of layers of full attention."""
    return Cache(layer_class_to_replicate=RoomyLayer)
