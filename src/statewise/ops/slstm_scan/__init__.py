"""The sLSTM recurrence as a function with gradients. README.md beside this file says which form runs when."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError, pick
from statewise.ops.checks import require_bool, require_same_device, require_same_dtype, require_shape, require_tensors
from statewise.ops.forward_mode import apply_in_reverse
from statewise.ops.slstm_scan import reference
from statewise.ops.slstm_scan.raw import NO_GRADIENT, backward_op, forward_op
from statewise.ops.slstm_scan.reference import CellState

__all__ = ["CellState", "slstm_scan", "slstm_step"]

NAME = "slstm_scan"


def slstm_scan(
    gates: Tensor,
    recurrent: Tensor,
    initial: CellState | None = None,
    *,
    reset: Tensor | None = None,
    kernel: str | None = None,
) -> tuple[Tensor, CellState]:
    """All hidden states of an sLSTM, and the state after the last token.

    gates      (B, T, H, 4·d) the input's part of the pre-activations of input gate, forget gate, cell and output
               gate, side by side in each head; any finite values
    recurrent  (H, d, 4·d) what a head's hidden state adds to them, in the dtype of gates
    initial    the state of an earlier call, each (B, H, d) in at least float32; None where nothing came before
    reset      (B, T) bool; true where a sequence starts: what came before the token is forgotten
    kernel     reference: the loop, of plain torch operations; by-hand: the same forward, and a backward of fewer
               operations, once differentiable. None is by-hand

    Returns hidden (B, T, H, d) in the dtype of gates, and the state in at least float32. T dependent steps of
    B·H·d² work: the recurrence is not associative, so time cannot be run in parallel. T = 0 gives no outputs and the
    initial state. Shapes, dtypes, devices or a kernel that do not fit are UsageErrors, as is forward mode by hand.

    >>> hidden, state = slstm_scan(torch.zeros(2, 5, 1, 12), torch.zeros(1, 3, 12))
    >>> hidden.shape, state.cell.shape
    (torch.Size([2, 5, 1, 3]), torch.Size([2, 1, 3]))
    """
    _check(gates, recurrent, initial, reset)
    dtype, wide = gates.dtype, accumulation_dtype(gates.dtype)
    state = initial_state(gates) if initial is None else initial
    run = pick("kernel", "by-hand" if kernel is None else kernel, KERNELS)
    heads_first = gates.to(wide).permute(2, 1, 0, 3)
    starts = None if reset is None else reset.T.expand(gates.shape[2], -1, -1)
    hidden, final = run(heads_first, recurrent.to(wide), _swapped(state), starts)
    return hidden.permute(2, 1, 0, 3).to(dtype), _swapped(final)


def slstm_step(gates: Tensor, recurrent: Tensor, state: CellState) -> CellState:
    """The state after one token: gates (B, H, 4·d) and recurrent (H, d, 4·d) in the dtype of the state before it."""
    with torch.autocast(gates.device.type, enabled=False):
        return _swapped(reference.advance(gates.transpose(0, 1), recurrent, _swapped(state)))


def _swapped(state: CellState) -> CellState:
    """(B, H, d) ↔ (H, B, d)."""
    return CellState(*(part.transpose(0, 1) for part in state))


def initial_state(gates: Tensor) -> CellState:
    """The state before any token beside gates (B, T, H, 4·d): zeros, and a stabiliser of −∞."""
    batch, _, heads, channels = gates.shape
    zeros = gates.new_zeros(batch, heads, channels // 4, dtype=accumulation_dtype(gates.dtype))
    return CellState(zeros, zeros.clone(), zeros.clone(), torch.full_like(zeros, -torch.inf))


class SLSTMScan(torch.autograd.Function):
    """The recurrence, with its gradient by hand. Heads are axis 0, time is axis 1, the batch follows."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        gates: Tensor,
        recurrent: Tensor,
        hidden: Tensor,
        cell: Tensor,
        normaliser: Tensor,
        stabiliser: Tensor,
        reset: Tensor | None,
    ) -> tuple[Tensor, ...]:
        """(h over time, the four parts of the final state, and c, n, m and the pre-activations over time)."""
        initial = (hidden, cell, normaliser, stabiliser)
        *states, activations = forward_op(gates, recurrent, *initial, reset)
        final = [part[:, -1] for part in states] if gates.shape[1] else initial
        return states[0], *(part.clone() for part in final), *states[1:], activations

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep the states and the pre-activations; the gates are computed again."""
        _, recurrent, *initial, reset = inputs
        hidden, _, _, _, _, *kept = output
        ctx.mark_non_differentiable(*kept)
        ctx.save_for_backward(recurrent, *initial, reset, hidden, *kept)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of gates, recurrent and the four parts of the initial state."""
        return *SLSTMScanBackward.apply(*ctx.saved_tensors, *grads[:5]), None  # type: ignore[no-untyped-call]


class SLSTMScanBackward(torch.autograd.Function):
    """Its gradient, which has none."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
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
        """(∂gates, ∂recurrent, and ∂h, ∂c, ∂n, ∂m before the first token)."""
        initial = (first_hidden, first_cell, first_normaliser, first_stabiliser)
        states = (hidden, cell, normaliser, stabiliser, activations)
        on_final = (on_last_hidden, on_cell, on_normaliser, on_stabiliser)
        return tuple(backward_op(recurrent, *initial, reset, *states, on_hidden, *on_final))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        """Refuse."""
        raise UsageError(NO_GRADIENT)


def _by_hand(gates: Tensor, recurrent: Tensor, initial: CellState, reset: Tensor | None) -> tuple[Tensor, CellState]:
    hidden, *final = apply_in_reverse(NAME, NAME, SLSTMScan, gates, recurrent, *initial, reset)[:5]
    return hidden, CellState(*final)


def _loop(gates: Tensor, recurrent: Tensor, initial: CellState, reset: Tensor | None) -> tuple[Tensor, CellState]:
    with torch.autocast(gates.device.type, enabled=False):
        return reference.slstm_scan(gates, recurrent, initial, reset)


Kernel = Callable[[Tensor, Tensor, CellState, Tensor | None], tuple[Tensor, CellState]]

KERNELS: dict[str, Kernel] = {"reference": _loop, "by-hand": _by_hand}


def _check(gates: Tensor, recurrent: Tensor, initial: CellState | None, reset: Tensor | None) -> None:
    """Raise a UsageError unless the arguments fit together."""
    parts = {} if initial is None else {f"initial.{name}": part for name, part in initial._asdict().items()}
    masks = {} if reset is None else {"reset": reset}
    require_tensors(NAME, gates=gates, recurrent=recurrent, **parts, **masks)
    if gates.ndim != 4 or gates.shape[-1] % 4:
        raise UsageError(f"{NAME}: gates must be (B, T, H, 4·d).\n  gates  {tuple(gates.shape)}\nTime is axis 1.")
    batch, length, heads, channels = gates.shape
    per_head = channels // 4
    how = "One matrix for each head: its hidden channels to its four pre-activations."
    require_shape(NAME, "recurrent", recurrent, (heads, per_head, channels), "(H, d, 4·d)", how)
    require_same_dtype(NAME, real=True, gates=gates, recurrent=recurrent)
    require_same_device(NAME, gates=gates, recurrent=recurrent, **parts, **masks)
    for name, part in parts.items():
        how = "Pass the state that an earlier call returned."
        require_shape(NAME, name, part, (batch, heads, per_head), "(B, H, d)", how)
        if part.dtype != accumulation_dtype(gates.dtype):
            needed = accumulation_dtype(gates.dtype)
            raise UsageError(f"{NAME}: {name} must be {needed} beside gates of {gates.dtype}; it is {part.dtype}")
    if reset is not None:
        require_bool(NAME, "reset", reset)
        require_shape(NAME, "reset", reset, (batch, length), "(B, T)", "One flag for every token of every sequence.")
