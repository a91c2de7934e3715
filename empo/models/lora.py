"""Row-masked LoRA laid over a model: linear layers, and tables that adapters bring themselves.

The layers are in `projections`; which row uses which adapter, in `blend`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from empo.errors import StackError
from empo.models.adapters import Adapter, LoraPair
from empo.models.blend import Blend
from empo.models.products import product
from empo.models.projections import Projection, Projections

# Linear layers that read the same input in the Llama family (Llama, Mistral, Qwen, Gemma, ...).
_TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


class RowTable(nn.Module):
    """`embed_tokens` or `lm_head`: every row reads its own table where adapters bring their own.

    A blend of adapters blends what their tables give, which is linear in the tables. Rows answer
    over the ids that all their tables have: the others are masked with -inf in the logits.
    """

    def __init__(self, base: nn.Embedding | nn.Linear, tables: Mapping[str, torch.Tensor],
                 blend: Blend) -> None:  # fmt: skip
        super().__init__()
        self.base = base
        self.blend = blend
        self.is_head = isinstance(base, nn.Linear)
        self.bias = base.bias if self.is_head else None
        own = base.weight
        self.tables = [
            own,
            *(tables[n].to(own.device, own.dtype) for n in blend.names if n in tables),
        ]
        self.columns = [i for i, name in enumerate(blend.names) if name in tables]

    def _parts(self, rows: int) -> list[tuple[torch.Tensor, list[float], list[int]]]:
        """(table, weights, rows) for each table that a row uses."""
        if self.blend.weights is None or not self.columns:
            return [(self.tables[0], [1.0] * rows, list(range(rows)))]
        own = self.blend.weights[:, self.columns]
        rest = 1 - own.sum(1, keepdim=True)
        rest[rest.abs() < 1e-6] = 0  # what rounding leaves of 1.17 - 0.17
        shares = torch.cat([rest, own], dim=1).T.tolist()
        parts = []
        for table, share in zip(self.tables, shares, strict=True):
            if used := [row for row, weight in enumerate(share) if weight]:
                parts.append((table, [share[row] for row in used], used))
        return parts

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self._parts(x.shape[0])
        if len(parts) == 1 and all(weight == 1.0 for weight in parts[0][1]):
            return self._wide(self._read(parts[0][0], x))
        size = max(table.shape[0] for table in self.tables) if self.is_head else 0
        shape = (*x.shape[:2], size or self.tables[0].shape[1])
        out = torch.zeros(shape, device=x.device, dtype=self.tables[0].dtype)
        for table, weights, rows in parts:
            read = self._read(table, x[rows])
            out[rows, :, : read.shape[-1]] += read * torch.tensor(weights).to(read)[:, None, None]
        # Only now: a negative share would turn a -inf of its table into +inf.
        for table, _, rows in parts if self.is_head else ():
            out[rows, :, table.shape[0] :] = -torch.inf
        return out

    def _read(self, table: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        if not self.is_head:
            return functional.embedding(x, table)
        return product(x, table, self.bias)

    def _wide(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits over the widest vocabulary, -inf where this table has no id."""
        if not self.is_head:
            return logits
        missing = max(table.shape[0] for table in self.tables) - logits.shape[-1]
        return functional.pad(logits, (0, missing), value=-torch.inf) if missing else logits


def install(model: nn.Module, adapters: Sequence[Adapter]) -> Blend:
    """Lay `adapters` over `model` in place; the returned blend says which row uses which.

    Raises:
        StackError: an adapter's weights do not fit the model; names the module.
    """
    blend = Blend([adapter.name for adapter in adapters])
    targets: dict[str, dict[str, LoraPair]] = {}
    for adapter in adapters:
        for module, pair in adapter.pairs.items():
            _check_fit(model, adapter.name, module, pair)
            targets.setdefault(module, {})[adapter.name] = pair
    for names in _groups(targets):
        members = [model.get_submodule(name) for name in names]
        together = Projections(members, [targets.get(name, {}) for name in names], blend)
        for index, (name, member) in enumerate(zip(names, members, strict=True)):
            model.set_submodule(name, Projection(together, index, member))
    for table in ("embed_tokens", "lm_head"):
        _install_table(model, adapters, table, blend)
    return blend


def uninstall(model: nn.Module) -> None:
    """Put the base's own layers back in place; the adapters' weights are let go of."""
    for name, module in list(model.named_modules()):
        if isinstance(module, Projection):
            model.set_submodule(name, module.linear)
        elif isinstance(module, RowTable):
            model.set_submodule(name, module.base)


def _groups(targets: Mapping[str, object]) -> Iterator[list[str]]:
    """Target modules, those with one input together."""
    done: set[str] = set()
    for name in targets:
        if name in done:
            continue
        parent, _, leaf = name.rpartition(".")
        family = next((t for t in _TOGETHER if leaf in t), (leaf,))
        group = [f"{parent}.{leaf}" if parent else leaf for leaf in family]
        group = [member for member in group if member in targets]
        done.update(group)
        yield group


def _check_fit(model: nn.Module, adapter: str, module: str, pair: LoraPair) -> None:
    try:
        linear = model.get_submodule(module)
    except AttributeError:
        raise StackError(f"The adapter {adapter}: the base has no module {module}.") from None
    if not isinstance(linear, nn.Linear):
        raise StackError(f"The adapter {adapter}: {module} is no linear layer of the base.")
    shape, wanted = (pair.b.shape[0], pair.a.shape[1]), (linear.out_features, linear.in_features)
    if shape != wanted:
        raise StackError(
            f"The adapter {adapter}: {module} is made for {shape}, the base's layer is {wanted}."
        )


def _install_table(model: nn.Module, adapters: Sequence[Adapter], table: str, blend: Blend) -> None:
    own = {a.name: a.tables[table] for a in adapters if table in a.tables}
    found = [name for name, _ in model.named_modules() if name.split(".")[-1] == table]
    base = model.get_submodule(found[0]) if found else None
    if not own and type(base) is not nn.Linear:
        return
    # A subclass computes more than a look-up or a product (Gemma scales its embeddings).
    if type(base) not in (nn.Embedding, nn.Linear):
        raise StackError(
            f"The adapter {min(own)}: it brings its own {table}, and the base's is none that can "
            "be exchanged by row."
        )
    for adapter, weights in own.items():
        if weights.shape[1] != base.weight.shape[1] or weights.shape[0] < base.weight.shape[0]:
            raise StackError(f"The adapter {adapter}: its {table} does not fit the base's.")
    model.set_submodule(found[0], RowTable(base, own, blend))
