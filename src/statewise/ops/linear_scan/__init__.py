"""The linear recurrence  h_t = a_t · h_{t-1} + b_t  as a function with gradients of every order.

README.md beside this file has the equations, what moves in memory and which kernel runs when.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from statewise.ops.checks import require_scan
from statewise.ops.forward_mode import apply_in_reverse
from statewise.ops.linear_scan.raw import backward_op, forward_op

__all__ = ["linear_scan"]

NAME = "linear_scan"


def linear_scan(
    decay: Tensor,
    drive: Tensor,
    initial: Tensor | None = None,
    *,
    reset: Tensor | None = None,
    kernel: str | None = None,
) -> tuple[Tensor, Tensor]:
    """All states of h_t = decay_t · h_{t-1} + drive_t, and the last one.

    decay    (B, T, D) any floating or complex dtype and any values; |decay| ≤ 1 keeps long sequences finite
    drive    (B, T, D) the dtype and device of decay
    initial  (B, D) h_0, the dtype and device of decay; zeros where absent
    reset    (B, T) bool; true where the state before the token is zero (not `initial`), so that packed
             sequences never meet: not even a NaN crosses
    kernel   one of `available_kernels()`; None takes what `choose_kernel` says

    Returns states (B, T, D) and final (B, D), both contiguous, in the dtype of drive; accumulation is at least
    float32. Decay 0 gives the drive back, decay 1 its running sum. T = 0 gives no states and the initial state
    as final. Any strides are read; channels that are not contiguous cost a copy. B·T·D work; the same bits at
    any number of threads.

    Differentiable in decay, drive and initial, from states and from final, to any order in reverse mode;
    forward mode is a UsageError. Shapes, dtypes, devices or a kernel that do not fit are UsageErrors.

    >>> decay, drive = torch.full((1, 3, 1), 0.5), torch.ones(1, 3, 1)
    >>> states, final = linear_scan(decay, drive)
    >>> states.flatten().tolist(), final.tolist()
    ([1.0, 1.5, 1.75], [[1.75]])
    """
    require_scan(NAME, {"decay": decay, "drive": drive}, initial, reset, kernel)
    states, final = apply_in_reverse(NAME, NAME, LinearScan, decay, drive, initial, reset, kernel)
    return states, final


class LinearScan(torch.autograd.Function):
    """The scan. Its gradient is `LinearScanBackward`, which has gradients itself."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        decay: Tensor, drive: Tensor, initial: Tensor | None, reset: Tensor | None, kernel: str | None
    ) -> tuple[Tensor, Tensor]:
        """(states, final)."""
        states, final = forward_op(decay, drive, initial, reset, kernel)
        return states, final

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep what the gradient reads: not the drive, not the final state."""
        decay, _, initial, reset, ctx.kernel = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(decay, output[0], initial, reset)

    @staticmethod
    def backward(ctx: Any, grad_states: Tensor | None, grad_final: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of decay, drive and initial."""
        if grad_states is None and grad_final is None:
            return None, None, None, None, None
        decay, states, initial, reset = ctx.saved_tensors
        grad_decay, grad_drive, grad_initial = LinearScanBackward.apply(  # type: ignore[no-untyped-call]
            decay, states, initial, reset, grad_states, grad_final, ctx.kernel
        )
        return grad_decay, grad_drive, None if initial is None else grad_initial, None, None


class LinearScanBackward(torch.autograd.Function):
    """The scan reversed, G_t = g_t + conj(a_{t+1}) G_{t+1}, and its products.

    grad_decay_t = G_t conj(h_{t-1}), grad_drive_t = G_t, grad_initial = conj(a_1) G_1.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        decay: Tensor,
        states: Tensor,
        initial: Tensor | None,
        reset: Tensor | None,
        grad_states: Tensor | None,
        grad_final: Tensor | None,
        kernel: str | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(grad_decay, grad_drive, grad_initial)."""
        arguments = (decay, states, initial, reset, grad_states, grad_final, kernel)
        grad_decay, grad_drive, grad_initial = backward_op(*arguments)
        return grad_decay, grad_drive, grad_initial

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        """Keep the inputs but the incoming gradients, and G."""
        decay, states, initial, reset, grad_states, grad_final, ctx.kernel = inputs
        ctx.has_grad_states, ctx.has_grad_final = grad_states is not None, grad_final is not None
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(decay, states, initial, reset, output[1])

    @staticmethod
    def backward(
        ctx: Any, on_decay: Tensor | None, on_drive: Tensor | None, on_initial: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Gradients of everything given, from cotangents on grad_decay (Ȧ), grad_drive (Ḃ) and grad_initial.

        The adjoint of G is P_t = Ȧ_t h_{t-1} + Ḃ_t + a_t P_{t-1} with P_0 the cotangent on grad_initial: the
        same scan, so that every order of gradient is made of scans.
        """
        decay, states, initial, reset, grads = ctx.saved_tensors
        drive = torch.zeros_like(grads) if on_drive is None else on_drive
        if on_decay is not None:
            drive = drive + on_decay * _previous(states, initial, reset)
        adjoint, last = linear_scan(decay, drive, on_initial, reset=reset, kernel=ctx.kernel)
        on_h = None if on_decay is None else _masked(on_decay.conj() * grads, reset)
        on_states, first = (None, None) if on_h is None else _shifted_back(on_h)
        return (
            grads * _previous(adjoint, on_initial, reset).conj(),
            on_states,
            None if initial is None else first,
            None,
            adjoint if ctx.has_grad_states else None,
            last if ctx.has_grad_final else None,
            None,
        )


def _previous(states: Tensor, initial: Tensor | None, reset: Tensor | None) -> Tensor:
    """h_{t-1} for every t, (B, T, D): the initial state (zeros where absent) first, zero where reset."""
    first = states.new_zeros(states.shape[0], states.shape[2]) if initial is None else initial
    return _masked(torch.cat([first.unsqueeze(1), states], dim=1)[:, :-1], reset)


def _shifted_back(on_previous: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of states (B, T, D) and of initial (B, D) from that of `_previous`, before its mask."""
    return pad(on_previous, (0, 0, 0, 1))[:, 1:], on_previous[:, :1].sum(1)


def _masked(values: Tensor, reset: Tensor | None) -> Tensor:
    """Values (B, T, D), zero where reset."""
    return values if reset is None else values.masked_fill(reset.unsqueeze(-1), 0)
