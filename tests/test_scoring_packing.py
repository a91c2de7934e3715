"""The scorer's input arrays, worked out by hand."""

from __future__ import annotations

import numpy as np

from empo.scoring.packing import pack


def test_three_texts_by_hand() -> None:
    arrays = pack([[7, 8, 9], [5, 6], [4]], roles=[0, 1, 1], pairs=[(0, 1), (0, 2)], speakers=[0])
    assert arrays["ids"].tolist() == [7, 8, 9, 5, 6, 4]
    assert arrays["places"].tolist() == [0, 1, 2, 0, 1, 0]
    assert arrays["roles"].tolist() == [0, 0, 0, 1, 1, 1]
    assert arrays["rows"].tolist() == [[0, 1, 2], [3, 4, 0], [5, 0, 0]]
    assert arrays["row_lengths"].tolist() == [3, 2, 1]
    assert arrays["back"].tolist() == [0, 1, 2, 3, 4, 6]
    assert arrays["posts"].tolist() == [[0, 1, 2], [0, 1, 2]]
    assert arrays["post_lengths"].tolist() == [3, 3]
    assert arrays["replies"].tolist() == [[3, 4], [5, 0]]
    assert arrays["reply_lengths"].tolist() == [2, 1]
    assert arrays["speakers"].tolist() == [[0, 1, 2]]
    assert arrays["speaker_lengths"].dtype == np.int32


def test_tokens_go_to_padded_rows_and_back() -> None:
    rng = np.random.default_rng(3)
    texts = [list(rng.integers(1, 99, n)) for n in (4, 9, 1, 6)]
    arrays = pack(texts, [0, 1, 0, 1], [(0, 1), (2, 3)], [0, 2])
    padded = arrays["ids"][arrays["rows"]]
    assert padded.reshape(-1)[arrays["back"]].tolist() == arrays["ids"].tolist()
    for n, reply in enumerate((1, 3)):
        length = arrays["reply_lengths"][n]
        assert arrays["ids"][arrays["replies"][n, :length]].tolist() == texts[reply]
