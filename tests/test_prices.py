"""Prices of hardware: read from the Hub's own answer, asked in the background, never waited for."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from huggingface_hub import HfApi

from empo.hub.prices import AGAIN, KEPT, Prices, hourly

# What the Hub's /api/spaces/hardware gives, field by field, as huggingface_hub reads it.
ROW = {"prettyName": "x", "cpu": "8 vCPU", "ram": "30 GB", "accelerator": None}
ANSWER = [
    ROW | {"name": "cpu-basic", "unitCostMicroUSD": 0, "unitCostUSD": 0.0, "unitLabel": "minute"},
    ROW
    | {"name": "l4x1", "unitCostMicroUSD": 13333, "unitCostUSD": 0.8 / 60, "unitLabel": "minute"},
    ROW | {"name": "a100-large", "unitCostMicroUSD": 1, "unitCostUSD": 2.5, "unitLabel": "hour"},
    ROW | {"name": "odd", "unitCostMicroUSD": 1, "unitCostUSD": 1.0, "unitLabel": "fortnight"},
]


def told(answer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What huggingface_hub makes of `answer`."""
    from huggingface_hub import hf_api

    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer)))
    monkeypatch.setattr(hf_api, "get_session", lambda: client)
    return HfApi().list_spaces_hardware(token=False)


def test_by_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    found = hourly(told(ANSWER, monkeypatch))
    assert found == {"cpu-basic": 0.0, "l4x1": pytest.approx(0.8), "a100-large": 2.5}


def test_asked_when_it_is_time_and_an_old_answer_stays() -> None:
    now, asked = [100.0], [0]
    answers: list[Any] = [ConnectionError(), [], ValueError("another form")]

    def ask() -> Any:
        asked[0] += 1
        answer = answers[min(asked[0] - 1, 2)]
        if isinstance(answer, Exception):
            raise answer
        return answer

    prices = Prices(ask, lambda: now[0], lambda work: work())
    assert prices.known() is None and asked == [1]
    assert prices.known() is None and asked == [1]
    now[0] += AGAIN
    assert prices.known() == {} and asked == [2]
    now[0] += KEPT - 1
    assert prices.known() == {} and asked == [2]
    now[0] += 1
    assert prices.known() == {} and asked == [3]
