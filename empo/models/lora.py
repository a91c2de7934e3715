"""Row-masked LoRA: every row of a batch its own blend of adapters, in one forward pass.

For a linear layer W with adapters a = 1..k of rank r_a, stack A = [A_1; ...; A_k] and
B = [s_1 B_1 ... s_k B_k]; then y = W x + B (m * (A x)), where m holds, per row, the weight of each
adapter, repeated r_a times. No gather, no loop over adapters, nothing that depends on data. Layers
that read the same input (q, k, v; gate, up) are computed together, one W, one A and one
block-diagonal B for all of them, so that the adapters cost two small products a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from empo.errors import StackError
from empo.models.adapters import Adapter, LoraPair
from empo.models.products import product

# Linear layers that read the same input in the Llama family (Llama, Mistral, Qwen, Gemma, ...).
_TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


class Blend:
    """The weights of the adapters for each row of the current pass, shared by all layers.

    `names`: the adapters, in the order of the columns of `weights` (rows, adapters).
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.weights: torch.Tensor | None = None
        self._masks: dict[tuple[int, ...], torch.Tensor] = {}

    def use(self, rows: Sequence[Mapping[str, float]], device: torch.device | str) -> None:
        """Set the blend of each row; all layers follow."""
        columns = [[float(row.get(name, 0.0)) for name in self.names] for row in rows]
        self._set(torch.tensor(columns, device=device) if any(map(any, columns)) else None)

    def keep(self, rows: torch.Tensor) -> None:
        """Keep only these rows (the others have ended)."""
        if self.weights is not None:
            left = self.weights[rows]
            self._set(left if left.any() else None)

    def _set(self, weights: torch.Tensor | None) -> None:
        self.weights = weights
        self._masks = {}

    def mask(self, ranks: tuple[int, ...]) -> torch.Tensor | None:
        """(rows, 1, sum of ranks); None while every row is the base alone.

        `ranks` holds the rank of every adapter for one member after the other, 0 where it has none.
        """
        if self.weights is None:
            return None
        if (mask := self._masks.get(ranks)) is None:
            repeats = torch.tensor(ranks, device=self.weights.device)
            columns = self.weights.repeat(1, len(ranks) // len(self.names))
            mask = columns.repeat_interleave(repeats, dim=1).unsqueeze(1)
            self._masks[ranks] = mask
        return mask


class Projections:
    """Linear layers with one input and their stacked adapters, computed together."""

    def __init__(
        self, members: Sequence[nn.Linear], loras: Sequence[Mapping[str, LoraPair]], blend: Blend
    ) -> None:
        self.blend = blend
        self.sizes = [member.out_features for member in members]
        self.ranks = tuple(
            lora[name].a.shape[0] if name in lora else 0 for lora in loras for name in blend.names
        )
        self.rank = sum(self.ranks)
        first = members[0].weight
        dtype = first.dtype if first.is_floating_point() else torch.bfloat16
        pairs = [[lora[name] for name in blend.names if name in lora] for lora in loras]
        self.a = torch.cat([pair.a for own in pairs for pair in own]).to(first.device, dtype)
        # (out, rank) of each member, scaled.
        bs = [torch.cat([p.b * p.scale for p in own], dim=1).to(self.a) for own in pairs]
        # One product for all is worth its zeros only where ranks are small and W is not quantised.
        plain = all(type(member) is nn.Linear for member in members)
        self.fused = plain and sum(self.ranks) * 2 <= sum(self.sizes)
        if self.fused:
            self._fuse(members)
            self.b = torch.block_diag(*bs)
        else:
            self.members, self.bs = list(members), bs
        self._input: torch.Tensor | None = None
        self._outputs: tuple[torch.Tensor, ...] = ()
        self._left = 0

    def _fuse(self, members: Sequence[nn.Linear]) -> None:
        """One W for all members; their own weights become views of it."""
        self.weight = torch.cat([member.weight.data for member in members])
        self.bias = None
        if any(member.bias is not None for member in members):
            self.bias = self.weight.new_zeros(sum(self.sizes))
        start = 0
        for member, size in zip(members, self.sizes, strict=True):
            rows = slice(start, start := start + size)
            member.weight = nn.Parameter(self.weight[rows], requires_grad=False)
            if member.bias is not None:
                self.bias[rows] = member.bias.data

    def take(self, index: int, x: torch.Tensor) -> torch.Tensor:
        """The output of member `index`; the first that is asked computes all of them."""
        if self._input is not x:
            self._input = x
            self._outputs = self._compute(x)
            self._left = len(self.sizes)
        self._left -= 1
        output = self._outputs[index]
        if not self._left:
            self._input, self._outputs = None, ()
        return output

    def _compute(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mask = self.blend.mask(self.ranks)
        if not self.fused:
            return self._compute_apart(x, mask)
        low = None if mask is None else functional.linear(x, self.a).mul_(mask)
        return product(x, self.weight, self.bias, low, self.b).split(self.sizes, -1)

    def _compute_apart(
        self, x: torch.Tensor, mask: torch.Tensor | None
    ) -> tuple[torch.Tensor, ...]:
        """The base layers as they are (quantised, say), the adapters beside them."""
        outputs = tuple(member(x) for member in self.members)
        if mask is None:
            return outputs
        low = (functional.linear(x.to(self.a.dtype), self.a) * mask).to(self.a.dtype)
        lows = low.split([b.shape[1] for b in self.bs], -1)
        return tuple(
            output + (own @ b.T).to(output.dtype)
            for output, own, b in zip(outputs, lows, self.bs, strict=True)
        )


class Projection(nn.Module):
    """Stands where a linear layer stood; its output comes from the `Projections` it belongs to."""

    def __init__(self, together: Projections, index: int, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.together = together
        self.index = index

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.together.take(self.index, x)


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
