"""The cache with room ahead, against plain concatenation."""

from __future__ import annotations

import torch

from empo.models.cache import _ROOM, roomy_cache


def test_it_holds_what_concatenation_holds_also_after_rows_left() -> None:
    """A prompt of 5, more tokens than there is room for, then rows 0 and 2 only, then on."""
    torch.manual_seed(0)
    cache = roomy_cache()
    expected = torch.empty(3, 2, 0, 4)
    for step, size in enumerate([5, *[1] * (_ROOM + 3)]):
        new = torch.randn(len(expected), 2, size, 4)
        expected = torch.cat([expected, new], dim=2)
        keys, values = cache.update(new, -new, 0)
        assert torch.equal(keys, expected) and torch.equal(values, -expected)
        if step == 3:
            cache.batch_select_indices(torch.tensor([0, 2]))
            expected = expected[[0, 2]]
    assert cache.get_seq_length() == 5 + _ROOM + 3


def test_a_token_more_does_not_move_the_old_ones() -> None:
    cache = roomy_cache()
    first, _ = cache.update(torch.zeros(1, 2, 5, 4), torch.zeros(1, 2, 5, 4), 0)
    places = {cache.update(torch.ones(1, 2, 1, 4), torch.ones(1, 2, 1, 4), 0)[0].data_ptr()}
    for _ in range(_ROOM - 1):
        new = torch.ones(1, 2, 1, 4)
        places.add(cache.update(new, new, 0)[0].data_ptr())
    assert places == {first.data_ptr()}
