"""The selective scan  x_t = exp(δ_t A) x_{t−1} + δ_t B_t u_t,  y_t = C_t x_t  of Mamba, with gradients.

README.md beside this file has the equations, what is kept and made again, and which form runs when.
"""

from typing import Any

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError, pick
from statewise.ops.checks import (
    require_bool,
    require_same_device,
    require_same_dtype,
    require_same_shape,
    require_shape,
    require_tensors,
)
from statewise.ops.forward_mode import apply_in_reverse
from statewise.ops.selective_scan import fused, reference
from statewise.ops.selective_scan.raw import NO_GRADIENT, backward_op, forward_op

__all__ = ["selective_scan"]

NAME = "selective_scan"
KERNELS = {
    "cpu": "C++, with this machine's instructions",
    "cpu-portable": "C++, with the instructions that every CPU has",
    "chunked": "pieces of time, their states made again",
    "reference": "the loop, one token at a time",
}


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    initial: Tensor | None = None,
    *,
    reset: Tensor | None = None,
    kernel: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Outputs y_t = Σ_n C_t x_t of x_t = exp(delta_t A) x_{t−1} + delta_t B_t u_t, and the last state.

    u        (B, T, E) real
    delta    (B, T, E) step sizes, positive. It and A are exponentiated: in float32 where u has less
    A        (E, N) rates, negative; other signs of delta or A are computed too, and may overflow
    B, C     (B, T, N) in the dtype of u
    initial  (B, E, N) the state of an earlier call, in the dtype of A; zeros where absent
    reset    (B, T) bool; true where the state before the token is zero (not `initial`)
    kernel   cpu, cpu-portable (C++: float32, float64 and bfloat16 on the CPU), chunked (plain torch on any device) or
             reference (the loop); None is cpu where that takes u, else chunked

    Returns outputs (B, T, E) in the dtype of u and the final state (B, E, N) in that of A. T = 0 gives no outputs and
    the initial state. B·T·E·N work; all but the loop hold O(B·T·E) numbers, never all states. The same bits at every
    call, in C++ at any number of threads too.

    Differentiable in every floating argument, from outputs and the final state: once, to any order in the
    reference. Forward mode but in the reference, and shapes, dtypes, devices or kernels that do not fit, are
    UsageErrors.

    Source: Gu and Dao, "Mamba", arXiv 2312.00752, §3.2 (S6); B is discretised as δB, as in the released code.

    >>> one = torch.ones(1, 3, 1)
    >>> outputs, final = selective_scan(one, one, torch.zeros(1, 1), one, one)
    >>> outputs.flatten().tolist(), final.tolist()
    ([1.0, 2.0, 3.0], [[[3.0]]])
    """
    require_selective_scan(u, delta, A, B, C, initial, reset)
    form = choose_form(kernel, u)
    if form == "reference":
        return reference.selective_scan(u, delta, A, B, C, initial, reset)
    state = reference.empty_state(u, A) if initial is None else initial
    rates = A.expand(u.shape[0], *A.shape)
    outputs, final, _ = apply_in_reverse(NAME, NAME, SelectiveScan, u, delta, rates, B, C, state, reset, form)
    return outputs, final


class SelectiveScan(torch.autograd.Function):
    """The scan: outputs, the final state, and the states that enter its pieces."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, initial: Tensor, reset: Tensor | None, kernel: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(outputs, final, entering)."""
        outputs, final, entering = forward_op(u, delta, A, B, C, initial, reset, kernel)
        return outputs, final, entering

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        """Keep the inputs and the states that enter the pieces."""
        *values, _, reset, ctx.kernel = inputs
        ctx.mark_non_differentiable(output[2])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*values, output[2], reset)

    @staticmethod
    def backward(
        ctx: Any, on_outputs: Tensor | None, on_final: Tensor | None, _: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Gradients of u, delta, A, B, C and the initial state."""
        if on_outputs is None and on_final is None:
            return (None,) * 8
        u, _, A, *_ = saved = ctx.saved_tensors
        on_outputs = torch.zeros_like(u) if on_outputs is None else on_outputs
        on_final = torch.zeros_like(A) if on_final is None else on_final
        grads = SelectiveScanBackward.apply(*saved, on_outputs, on_final, ctx.kernel)  # type: ignore[no-untyped-call]
        return *grads, None, None


class SelectiveScanBackward(torch.autograd.Function):
    """Its gradient, which has none."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        entering: Tensor,
        reset: Tensor | None,
        on_outputs: Tensor,
        on_final: Tensor,
        kernel: str,
    ) -> tuple[Tensor, ...]:
        """Gradients of u, delta, A, B, C and the initial state."""
        return tuple(backward_op(u, delta, A, B, C, entering, reset, on_outputs, on_final, kernel))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        """Refuse."""
        raise UsageError(NO_GRADIENT)


def choose_form(kernel: str | None, u: Tensor) -> str:
    """The kernel asked for, or the fastest that takes `u`; a UsageError where what is asked for does not take it."""
    if kernel is None:
        return "cpu" if fused.runs_on_cpu(u) else "chunked"
    pick(f"kernel of {NAME}", kernel, KERNELS)
    if kernel in fused.KERNELS and not fused.runs_on_cpu(u):
        raise UsageError(
            f"{NAME}: kernel {kernel!r} does not take {u.dtype} on {u.device.type}; it takes float32, float64 and "
            'bfloat16 on the CPU. Pass kernel="chunked", which takes everything.'
        )
    return kernel


def require_selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, initial: Tensor | None, reset: Tensor | None
) -> None:
    """Raise a UsageError unless the arguments fit together."""
    masks = {} if reset is None else {"reset": reset}
    state = {} if initial is None else {"initial": initial}
    narrow, wide = {"u": u, "B": B, "C": C}, {"delta": delta, "A": A, **state}
    require_tensors(NAME, **narrow, **wide, **masks)
    require_same_shape(NAME, "(B, T, E)", u=u, delta=delta)
    require_same_shape(NAME, "(B, T, N)", B=B, C=C)
    batch, length, channels = u.shape
    states = B.shape[-1]
    require_shape(NAME, "B", B, (batch, length, states), "(B, T, N)", "The batch and the tokens of u.")
    require_shape(NAME, "A", A, (channels, states), "(E, N)", "One rate for every state of every channel.")
    require_same_dtype(NAME, real=True, **narrow)
    require_same_dtype(NAME, real=True, **wide)
    if A.dtype != accumulation_dtype(u.dtype):
        raise UsageError(f"{NAME}: delta, A and initial must be {accumulation_dtype(u.dtype)} beside u of {u.dtype}")
    require_same_device(NAME, **narrow, **wide, **masks)
    if initial is not None:
        how = "Pass the state that an earlier call returned."
        require_shape(NAME, "initial", initial, (batch, channels, states), "(B, E, N)", how)
    if reset is not None:
        require_bool(NAME, "reset", reset)
        require_shape(NAME, "reset", reset, (batch, length), "(B, T)", "One flag for every token of every sequence.")
