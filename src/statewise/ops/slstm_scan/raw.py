"""The sLSTM recurrence as two operators of torch.library. The front door is in `__init__.py`.

Heads are axis 0 of every tensor: none meets another, so that vmap can fold what it maps over into them.
"""

import torch
from torch import Tensor

from statewise.ops.operators import define
from statewise.ops.slstm_scan import by_hand
from statewise.ops.slstm_scan.reference import CellState

NO_GRADIENT = """slstm_scan: second derivatives are not available: its backward is written by hand.
Pass kernel="reference", which is the loop itself."""


def _forward(
    gates: Tensor,
    recurrent: Tensor,
    hidden: Tensor,
    cell: Tensor,
    normaliser: Tensor,
    stabiliser: Tensor,
    reset: Tensor | None,
) -> tuple[Tensor, ...]:
    # Autocast would round the pre-activations, which are exponentiated.
    with torch.autocast(gates.device.type, enabled=False):
        initial = CellState(hidden, cell, normaliser, stabiliser)
        states, activations = by_hand.forward(gates, recurrent, initial, reset)
    return *states, activations


def _backward(
    recurrent: Tensor,
    first_hidden: Tensor,
    first_cell: Tensor,
    first_normaliser: Tensor,
    first_stabiliser: Tensor,
    reset: Tensor | None,
    hidden: Tensor,
    cell: Tensor,
    normaliser: Tensor,
    stabiliser: Tensor,
    activations: Tensor,
    on_hidden: Tensor,
    on_last_hidden: Tensor,
    on_cell: Tensor,
    on_normaliser: Tensor,
    on_stabiliser: Tensor,
) -> tuple[Tensor, ...]:
    with torch.autocast(activations.device.type, enabled=False):
        on_gates, on_recurrent, on_initial = by_hand.backward(
            recurrent,
            CellState(first_hidden, first_cell, first_normaliser, first_stabiliser),
            reset,
            CellState(hidden, cell, normaliser, stabiliser),
            activations,
            on_hidden,
            CellState(on_last_hidden, on_cell, on_normaliser, on_stabiliser),
        )
    return on_gates, on_recurrent, *on_initial


def _fake_forward(gates: Tensor, *_: object) -> tuple[Tensor, ...]:
    over_time = (*gates.shape[:-1], gates.shape[-1] // 4)
    return *(gates.new_empty(over_time) for _ in range(4)), gates.new_empty(gates.shape)


def _fake_backward(recurrent: Tensor, first: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
    activations = rest[8]
    like = (activations, recurrent, first, first, first, first)
    return tuple(activations.new_empty(tensor.shape) for tensor in like)


forward_op = define(
    "slstm_scan(Tensor gates, Tensor recurrent, Tensor hidden, Tensor cell, Tensor normaliser, Tensor stabiliser, "
    "Tensor? reset) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _forward,
    _fake_forward,
    no_gradient=NO_GRADIENT,
)
"""Hidden, cell, normaliser and stabiliser (H, T, B, d) and pre-activations (H, T, B, 4·d) after every token."""

backward_op = define(
    "slstm_scan_backward(Tensor recurrent, Tensor first_hidden, Tensor first_cell, Tensor first_normaliser, "
    "Tensor first_stabiliser, Tensor? reset, Tensor hidden, Tensor cell, Tensor normaliser, Tensor stabiliser, "
    "Tensor activations, Tensor on_hidden, Tensor on_last_hidden, Tensor on_cell, Tensor on_normaliser, "
    "Tensor on_stabiliser) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _backward,
    _fake_backward,
    no_gradient=NO_GRADIENT,
)
"""The gradients of gates, recurrent and the four parts of the initial state."""
