"""Linear attention inside a gated LRU: its input gate multiplies values and keys, its output gate multiplies what was
summed up and queries; λ = 1 (or γ) is the memory, and λ = 0 lets the query of the token itself pass.

    dense         unit (h,a,b)  λ = γ_h  writes (V_h x̄)_a (K_h x̄)_b        unit (h,b)  λ = 0  writes (Q_h x̄)_b · 1
                  product (h,a,b) = unit (h,a,b) · unit (h,b), added to the output by column a of O_h
    compact       unit {j,k}    λ = γ    writes x̄_j x̄_k, j ≤ k              queries as above
                  product (h,a,b) = (V_h C K_hᵀ)_{ab} · unit (h,b) with C = Σ x̄ x̄ᵀ, whose other half is the same
    side          dense, and the output gate's second factor is Q_h x̄ itself: no unit of λ = 0
    compact-side  both

Proof. Unit (h,a,b) is entry (a,b) of Σ_s γ^{t−s} V_h x̄_s (K_h x̄_s)ᵀ; its product with query b, summed over b, is entry
a of what the head answers. In the compact forms that entry is linear in C. No map is inverted, so singular maps are no
exception. λ = 0 and 1 are used to the bit, so equality holds but for the rounding of sums.

Units: H·K·V of the memory, and H·K that pass. Compact: c(c+1)/2 of the memory, c the channels of x̄ that some key or
value reads. With D = H·d_h channels these are H·d_h² + H·d_h and D(D+1)/2 + D, fewer only where H = 1.

H heads, K channels of a query, V of a value, D inputs, C = D + 1, N units, M products.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from statewise.constructions.attention_maps import AttentionMaps, attention_maps
from statewise.constructions.directions import blank
from statewise.core.errors import UsageError, pick
from statewise.mixers import GatedLRU, Mixer


@dataclass(frozen=True)
class Gates:
    """All numbers of a gated LRU, maps of x̄ with a last column for the 1 after x.

    decay        (N,)
    write        (N, C), and write_gate (N, C)
    read         (M, N)
    read_gate    (M, N), or (M, C) where the gate is on the side
    output       (O, M)
    side_gate    whether the gate is there
    bias         (O,) added to the output; None is 0
    """

    decay: Tensor
    write: Tensor
    write_gate: Tensor
    read: Tensor
    read_gate: Tensor
    output: Tensor
    side_gate: bool
    bias: Tensor | None = None


def to_gated_lru(layer: Mixer, *, form: str = "dense", decay: Sequence[float] | None = None) -> GatedLRU:
    """A gated LRU with the outputs of a layer of linear attention, in the layer's precision and on its device.

    layer  `LinearAttention` with the identity as its feature map and no normaliser; its maps may be singular
    form   dense: H·d² + H·d units for H heads of d channels; compact: D(D+1)/2 + D, fewer for one head only; side and
           compact-side: without the H·d, or D, units that carry queries
    decay  by what factor in [0, 1] the memory of each head fades at every token, as retention's does by
           1 − 2^(−5−h); None is 1, the layer's own

    In float64 the outputs agree to 10⁻¹⁰ of the largest. O(D·N + N·M) memory. Other layers and options are a UsageError
    that names them.

    >>> from statewise.mixers import LinearAttention
    >>> x, attention = torch.randn(2, 5, 4).double(), LinearAttention(4).double()
    >>> torch.allclose(to_gated_lru(attention)(x)[0], attention(x)[0], atol=1e-10)
    True
    """
    maps = attention_maps(layer)
    gates = gates_of(maps, form=form, decay=decay)
    units, products = gates.read.shape[1], gates.read.shape[0]
    gated = GatedLRU(
        layer.width,
        units=units,
        outputs=products,
        side_gate=gates.side_gate,
        constant=True,
        bias=gates.bias is not None,
    ).to(maps.query)
    blank(gated)
    write_gates(gated, gates)
    return gated.train(layer.training)


def gates_of(maps: AttentionMaps, *, form: str, decay: Sequence[float] | None = None) -> Gates:
    """The gates that make a gated LRU these maps' linear attention; see `to_gated_lru`."""
    return pick("form of linear attention", form, FORMS)(maps, rates(decay, maps.query))


def rates(decay: Sequence[float] | None, like: Tensor) -> Tensor:
    """γ of each head, (H,)."""
    heads = len(like)
    given = [1.0] * heads if decay is None else [float(rate) for rate in decay]
    if len(given) != heads or not all(0 <= rate <= 1 for rate in given):
        raise UsageError(f"to_gated_lru: decay is {given}; it must be {heads} numbers in [0, 1], one for each head")
    return like.new_tensor(given)


def dense(maps: AttentionMaps, decay: Tensor, *, side: bool = False) -> Gates:
    """Every product of a value and a key of the same head has a unit."""
    heads, keys, channels = maps.key.shape
    values = maps.value.shape[1]
    value = maps.value[:, :, None].expand(heads, values, keys, channels).flatten(0, 2)
    key = maps.key[:, None].expand(heads, values, keys, channels).flatten(0, 2)
    read = torch.eye(len(value)).to(value)
    return gates(maps, decay.repeat_interleave(values * keys), value, key, read, side=side)


def compact(maps: AttentionMaps, decay: Tensor, *, side: bool = False) -> Gates:
    """Every product of two channels of x̄ has a unit, for all heads together."""
    if not bool((decay == decay[0]).all()):
        raise UsageError(
            f"to_gated_lru: decay is {decay.tolist()} and form is compact, whose heads share one memory; give every "
            "head the same decay, or use form='dense' or 'side'"
        )
    channels = maps.key.shape[-1]
    seen = (maps.key != 0).any(1).any(0) | (maps.value != 0).any(1).any(0)
    used = seen.nonzero()[:, 0] if bool(seen.any()) else seen.new_zeros(1, dtype=torch.int64)
    first, second = used[torch.triu_indices(len(used), len(used))]
    entry = torch.eye(channels).to(maps.key)
    product = torch.einsum("haj,hbk->habjk", maps.value, maps.key).flatten(0, 2)
    read = product[:, first, second] + (first != second) * product[:, second, first]
    return gates(maps, decay[:1].expand(len(first)), entry[first], entry[second], read, side=side)


def gates(maps: AttentionMaps, decay: Tensor, write: Tensor, gate: Tensor, read: Tensor, *, side: bool) -> Gates:
    """The memory's units and how products (h,a,b) read them, completed by the queries and the output."""
    heads, keys, channels = maps.query.shape
    values = maps.value.shape[1]
    query = maps.query[:, None].expand(heads, values, keys, channels).flatten(0, 2)
    output = maps.output.repeat_interleave(keys, 1)
    if side:
        return Gates(decay, write, gate, read, query, output, True, maps.bias)
    passing = maps.query.flatten(0, 1)
    one = torch.zeros_like(passing)
    one[:, -1] = 1
    asked = torch.arange(heads * keys).view(heads, 1, keys).expand(heads, values, keys).flatten()
    carried = torch.eye(heads * keys).to(read)[asked]
    return Gates(
        decay=torch.cat([decay, decay.new_zeros(len(passing))]),
        write=torch.cat([write, passing]),
        write_gate=torch.cat([gate, one]),
        read=torch.cat([read, torch.zeros_like(carried)], 1),
        read_gate=torch.cat([torch.zeros_like(read), carried], 1),
        output=output,
        side_gate=False,
        bias=maps.bias,
    )


def write_gates(mixer: GatedLRU, gates: Gates) -> None:
    """Write the numbers into a gated LRU with that constant, that gate, and as many units and products."""
    parts = {"write": gates.write, "write_gate": gates.write_gate, "read": gates.read, "read_gate": gates.read_gate}
    with torch.no_grad():
        mixer.decay.copy_(gates.decay)
        for name, weight in (parts | {"output": gates.output}).items():
            linear = getattr(mixer, name)
            assert isinstance(linear, nn.Linear)
            linear.weight.copy_(weight)
        if gates.bias is not None:
            mixer.output.bias.copy_(gates.bias)


def side(maps: AttentionMaps, decay: Tensor) -> Gates:
    """Dense, with queries on the side."""
    return dense(maps, decay, side=True)


def compact_side(maps: AttentionMaps, decay: Tensor) -> Gates:
    """Compact, with queries on the side."""
    return compact(maps, decay, side=True)


FORMS: dict[str, Callable[[AttentionMaps, Tensor], Gates]] = {
    "dense": dense,
    "compact": compact,
    "side": side,
    "compact-side": compact_side,
}
