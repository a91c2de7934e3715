"""Pools as text: the canonical name under which equal pools are the same, and JSON and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from empo.errors import UsageError
from empo.types import Pool, Sampling


def pool_document(pool: Pool) -> str:
    """`pool` as canonical JSON, without the seed: equal pools give the same text."""
    data = asdict(pool)
    if pool.sampling is not None:
        del data["sampling"]["seed"]
        whole = ("top_k", "max_new_tokens")
        data["sampling"] = {
            name: int(value) if name in whole else float(value)
            for name, value in data["sampling"].items()
        }
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def pool_name(pool: Pool) -> str:
    """Readable, and different for pools that differ in anything: `nano, live, 3f2a90c1d4e5`."""
    digest = hashlib.sha256(pool_document(pool).encode()).hexdigest()[:12]
    return f"{pool.stack}, {'live' if pool.live else 'recorded'}, {digest}"


def pool_from(document: str) -> Pool:
    """The pool that `pool_document` wrote.

    Raises:
        ValueError, TypeError: it is none.
    """
    data: dict[str, Any] = json.loads(document)
    if data["sampling"] is not None:
        data["sampling"] = Sampling(**data["sampling"])
    return Pool(**data)


def find_pool(pools: Iterable[Pool], name: str) -> Pool:
    """The one of `pools` called `name`.

    Raises:
        UsageError: there is none; names those there are.
    """
    known = {pool_name(pool): pool for pool in pools}
    if name not in known:
        there = "; ".join(known) or "none yet"
        raise UsageError(f"There is no pool “{name}” among the votes; there are: {there}.")
    return known[name]
