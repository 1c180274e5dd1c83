"""The linear-attention teacher as one layer of a gated LRU, exactly, and of an LSTM, to any accuracy.

    token     [ x | 0 ]        the mixer reads x and writes y, the head reads y
    answer    [ x | y ]

Gated LRU: see `statewise.constructions.gated_attention`, with one head of d channels: d² + d units, or d(d+1)/2 + d.
Sums are formed in float64 and the teacher's targets are float32, so answers that are rounded to float32 may differ by
one rounding, 2⁻²³ of the target at most.

LSTM: for every value i, key j and signs r, s a cell with forget gate 1 (a bias of 40: σ(40) is 1 to the bit)

    c ← c + σ(sε k_j) tanh(ε v_i)        h = σ(rε q_j) tanh(c)        y_i = 4/ε³ Σ_j Σ_{r,s} r s h

Argument. σ(a) − σ(−a) = tanh(a/2), so the two signs s leave Σ tanh(ε k/2) tanh(ε v) = ε²/2 Σ k v · (1 + O(ε²)) between
their cells, and the two signs r leave tanh(ε q/2) = ε q/2 · (1 + O(ε²)) of the read-out. tanh(c) misses c by c³/3 with
c = ε/2 Σ v + O(ε²), which between the two cells is ε²/2 Σ k v · (ε Σ v)²/4: O(ε²) again, in proportion to the number of
tokens where values are independent. Rounding adds a share u/ε² (of cells that are O(ε), ε³ is read): in float64 it is
far below ε² down to ε = 10⁻³, in float32 the error turns at ε near 0.01 (measured at d = 3, 1 and 10 tokens: the
largest error at 0.007, the median at 0.02 and 0.01).
"""

from typing import Any

import torch
from torch import Tensor

from statewise.constructions.attention_maps import AttentionMaps
from statewise.constructions.construction import Construction, require_size
from statewise.constructions.directions import Directions, blank, write_table
from statewise.constructions.gated_attention import gates_of, write_gates
from statewise.constructions.heads import columns, layer, rows
from statewise.core.errors import UsageError
from statewise.models import VectorModel
from statewise.tasks import LinearAttentionTeacher

LONGEST = 2**14
"""Tokens up to which answers were compared; the task's own targets take the square of them in memory."""

ROUNDING = 2.0**-23
"""Largest share of a float32 by which two numbers that differ in their last bits of float64 may be rounded apart."""

OPEN = 40.0
"""Bias of a forget gate whose sigmoid is 1 to the bit."""

PER_TOKEN = 20.0
"""Error of the LSTM as a share of the largest target is at most this times ε² (tokens + 4): three times the
largest that was measured over 12 teachers each of 1 to 6 channels and 1 to 64 tokens."""

LARGEST_ERROR = 0.1
"""Share of the largest target beyond which one can no longer speak of an emulation."""


def gated_lru(size: int, *, dim: int = 4, teacher: int = 0, form: str = "dense") -> Construction:
    """One layer of a gated LRU, exact at every length up to this one.

    size     tokens, at most 2¹⁴
    dim      d, at least 1
    teacher  which one, at least 0
    form     dense: d² + d units; compact: d(d+1)/2 + d; side: d²; compact-side: d(d+1)/2, with queries on the side

    >>> gated_lru(16, form="compact").model.blocks[0].mixer.units
    14
    """
    name = "linear-attention/gated-lru"
    require_size(name, size, LONGEST, "longer sequences were not compared")
    task = LinearAttentionTeacher(dim=dim, teacher=teacher)
    at = Directions(x=dim, y=dim)
    query, key, value = (seen_at(at, weight) for weight in task.weights)
    gates = gates_of(AttentionMaps(query, key, value, columns(at.width, at["y"]).double()), form=form)
    products, units = gates.read.shape
    settings = (f"units={units}", f"outputs={products}", "constant=True", f"side_gate={gates.side_gate}")
    model = bare(task, at, "gated-lru", settings)
    write_gates(layer(model, 0).mixer, gates)
    write_table(model.head, slice(None), at["y"], torch.eye(dim))
    return Construction(
        name=name,
        model=model.eval(),
        task=task,
        sizes=(1, size),
        precision=torch.float64,
        claim=f"one gated LRU of {units} units, {UNITS[form]}, decays exactly 1 and 0",
        source="Zucchet et al. 2023, arXiv 2309.01775, §3; the compact form for singular maps is ours",
        tolerance=ROUNDING,
    )


UNITS = {"dense": "d² + d", "compact": "d(d+1)/2 + d", "side": "d²", "compact-side": "d(d+1)/2"}


def lstm(size: int, *, dim: int = 4, teacher: int = 0, epsilon: float = 1e-3) -> Construction:
    """One layer of an LSTM with 4d² cells, whose error is O(ε² · tokens) of the largest target.

    size     tokens, at most 2¹⁴, and 0.005/ε² − 4, where the error may reach a tenth
    dim      d, at least 1
    teacher  which one, at least 0
    epsilon  ε, in [10⁻⁴, 0.03]: factor by which signals are made small; below, rounding of float64 is seen

    >>> lstm(8, dim=2).verify().exact
    True
    """
    name = "linear-attention/lstm"
    if not 1e-4 <= epsilon <= 0.03:
        raise UsageError(f"{name}: epsilon is {epsilon}; it must be in [0.0001, 0.03]")
    longest = min(LONGEST, int(LARGEST_ERROR / (PER_TOKEN * epsilon**2)) - 4)
    require_size(name, size, longest, f"the error grows with tokens times epsilon², and epsilon is {epsilon:g}")
    task = LinearAttentionTeacher(dim=dim, teacher=teacher)
    at = Directions(cells=4 * dim**2, x=dim)
    model = bare(task, at, "lstm", ())
    write_cells(layer(model, 0).mixer.cell, at, task, epsilon)
    value, _, sign, turn = cells(dim)
    write_table(model.head, slice(None), at["cells"], 4 / epsilon**3 * sign * turn * torch.eye(dim)[:, value])
    return Construction(
        name=name,
        model=model.eval(),
        task=task,
        sizes=(1, size),
        precision=torch.float64,
        claim=f"one LSTM of {4 * dim**2} = 4d² cells misses the answer by O(ε²) of it, here ε = {epsilon:g}",
        source="Zucchet et al. 2023, arXiv 2309.01775, appendix (that it can); the cells and their error are ours",
        tolerance=PER_TOKEN * epsilon**2 * (size + 4),
    )


def bare(task: LinearAttentionTeacher, at: Directions, stack: str, settings: tuple[str, ...]) -> VectorModel:
    """One block that is its mixer alone, in float64, all 0 but for the inputs, which lie in the piece `x`."""
    model = VectorModel(
        channels=task.channels,
        width=at.width,
        stack=stack,
        feed_forward=0,
        norm="none",
        mixer_settings=settings,
    ).double()
    blank(model)
    write_table(model.embedding, at["x"], slice(None), torch.eye(task.dim))
    return model


def seen_at(at: Directions, weight: Tensor) -> Tensor:
    """A map of x as a head's map of the width and of the 1 after it, (1, rows, C)."""
    return torch.cat([weight @ rows(at.width, at["x"]).double(), weight.new_zeros(len(weight), 1)], 1)[None]


def write_cells(cell: Any, at: Directions, task: LinearAttentionTeacher, epsilon: float) -> None:
    """Write the cells (i, j, s, r): input gate s k_j, candidate v_i, output gate r q_j, forget gate open."""
    value, key, sign, turn = cells(task.dim)
    weights = task.weights
    with torch.no_grad():
        write, _, candidate, read = cell.weight_ih_l0.unflatten(0, (4, at.width)).unbind(0)
        write[at["cells"], at["x"]] = epsilon * sign[:, None] * weights.key[key]
        candidate[at["cells"], at["x"]] = epsilon * weights.value[value]
        read[at["cells"], at["x"]] = epsilon * turn[:, None] * weights.query[key]
        cell.bias_ih_l0.unflatten(0, (4, at.width))[1, at["cells"]] = OPEN


def cells(dim: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The value i, the key j, and the signs s and r of every cell, (4d²,) each."""
    channels, signs = torch.arange(dim), torch.tensor([1.0, -1.0], dtype=torch.float64)
    value, key, sign, turn = torch.meshgrid(channels, channels, torch.arange(2), torch.arange(2), indexing="ij")
    return value.flatten(), key.flatten(), signs[sign.flatten()], signs[turn.flatten()]
