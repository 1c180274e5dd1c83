"""The average of all values so far, weighted by the exponentials of their scores: attention with one fixed query.

README.md beside this file has the equations, what moves in memory and which kernel runs when.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.ops.checks import require_bool, require_same_device, require_same_dtype, require_shape, require_tensors
from statewise.ops.choice import require_kernel
from statewise.ops.forward_mode import apply_in_reverse
from statewise.ops.softmax_scan import reference
from statewise.ops.softmax_scan.raw import NO_GRADIENT, backward_op, forward_op

__all__ = ["SoftmaxState", "softmax_scan"]

NAME = "softmax_scan"


class SoftmaxState(NamedTuple):
    """What is carried: the largest score m (B, H), d = Σ e^{s − m} (B, H) and n = Σ e^{s − m} v (B, D)."""

    largest: Tensor
    denominator: Tensor
    numerator: Tensor


def softmax_scan(
    score: Tensor,
    value: Tensor,
    initial: SoftmaxState | None = None,
    *,
    reset: Tensor | None = None,
    kernel: str | None = None,
) -> tuple[Tensor, SoftmaxState]:
    """o_t = Σ_{i≤t} e^{s_i} v_i / Σ_{i≤t} e^{s_i} for every t, and the state after the last token.

    score    (B, T, H) real; any finite value, and -inf for a token of no weight. H divides D: a head's score weighs
             D / H neighbouring channels
    value    (B, T, D) in the dtype of score
    initial  the state of an earlier call; None where nothing came before
    reset    (B, T) bool; true where a sequence starts: what came before the token is forgotten
    kernel   one of `available_kernels()`; None takes what `choose_kernel` says

    Returns outputs (B, T, D) in the dtype of value and a state in at least float32 (a sum of many terms would stand
    still in less). The state is O(1) in T: 2 H + D numbers. T = 0 gives no outputs and the initial state. An output
    before any token of finite score is NaN, as a softmax over nothing is. Reads B·T·(D + H) numbers and writes
    B·T·(D + 2 H): the outputs, and what the backward needs. The same bits at any number of threads.

    Differentiable once, in score, value and initial, from outputs and the state. A gradient of `largest` goes to the
    first token that has it; where the state is only carried on, it vanishes. Second derivatives, forward mode, and
    shapes, dtypes, devices or kernels that do not fit are UsageErrors.

    Source: Feng et al., "Attention as an RNN", arXiv 2405.13956, §3.1 (many-to-many).

    >>> outputs, state = softmax_scan(torch.zeros(1, 2, 1), torch.tensor([[[1.0], [3.0]]]))
    >>> outputs.flatten().tolist(), state.denominator.item()
    ([1.0, 2.0], 2.0)
    """
    require_softmax_scan(score, value, initial, reset, kernel)
    state = SoftmaxState(*reference.empty(score, value)) if initial is None else initial
    outputs, *final, _, _ = apply_in_reverse(NAME, NAME, SoftmaxScan, score, value, *state, reset, kernel)
    return outputs, SoftmaxState(*final)


class SoftmaxScan(torch.autograd.Function):
    """The scan: outputs, and the three parts of the final state."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        score: Tensor,
        value: Tensor,
        largest: Tensor,
        denominator: Tensor,
        numerator: Tensor,
        reset: Tensor | None,
        kernel: str | None,
    ) -> tuple[Tensor, ...]:
        """(outputs, final largest, final denominator, final numerator, maxima, denominators)."""
        outputs, maxima, denominators, final = forward_op(score, value, largest, denominator, numerator, reset, kernel)
        if score.shape[1]:
            largest, denominator = maxima[:, -1], denominators[:, -1]
        return outputs, largest.clone(), denominator.clone(), final, maxima, denominators

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep what the backward reads; the weights are computed again."""
        score, value, *initial, reset, ctx.kernel = inputs
        outputs, _, _, final, maxima, denominators = output
        ctx.mark_non_differentiable(maxima, denominators)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(score, value, outputs, maxima, denominators, *initial, reset, final)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of score, value and the three parts of the initial state."""
        if all(grad is None for grad in grads):
            return (None,) * 7
        *seen, reset, final = ctx.saved_tensors
        likes = (seen[2], seen[5], seen[6], final)
        on_outputs, *on_final = (
            torch.zeros_like(like) if grad is None else grad for grad, like in zip(grads[:4], likes, strict=True)
        )
        arguments = (*seen, reset, on_outputs, final, *on_final, ctx.kernel)
        return *SoftmaxScanBackward.apply(*arguments), None, None  # type: ignore[no-untyped-call]


class SoftmaxScanBackward(torch.autograd.Function):
    """Its gradient, which has none."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        score: Tensor,
        value: Tensor,
        outputs: Tensor,
        maxima: Tensor,
        denominators: Tensor,
        largest: Tensor,
        denominator: Tensor,
        numerator: Tensor,
        reset: Tensor | None,
        grad_outputs: Tensor,
        final_numerator: Tensor,
        grad_largest: Tensor,
        grad_denominator: Tensor,
        grad_numerator: Tensor,
        kernel: str | None,
    ) -> tuple[Tensor, ...]:
        """Gradients of score, value and the three parts of the initial state."""
        initial, on_final = (largest, denominator, numerator), (grad_largest, grad_denominator, grad_numerator)
        seen = (score, value, outputs, maxima, denominators)
        return tuple(backward_op(*seen, *initial, reset, grad_outputs, final_numerator, *on_final, kernel))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        """Refuse."""
        raise UsageError(NO_GRADIENT)


def require_softmax_scan(
    score: Tensor, value: Tensor, initial: SoftmaxState | None, reset: Tensor | None, kernel: str | None
) -> None:
    """Raise a UsageError unless the arguments fit together."""
    masks = {} if reset is None else {"reset": reset}
    parts = {} if initial is None else dict(zip(SoftmaxState._fields, initial, strict=True))
    require_tensors(NAME, score=score, value=value, **parts, **masks)
    if score.ndim != 3 or value.ndim != 3 or score.shape[:2] != value.shape[:2] or _left_over(score, value):
        raise UsageError(
            f"{NAME}: score must be (B, T, H) and value (B, T, D), with H a divisor of D.\n"
            f"  score  {tuple(score.shape)}\n  value  {tuple(value.shape)}\n"
            "Time is axis 1. One score for each channel is H = D, one for all of them score.unsqueeze(-1)."
        )
    require_same_dtype(NAME, real=True, score=score, value=value)
    require_same_device(NAME, score=score, value=value, **parts, **masks)
    (batch, length, heads), channels = score.shape, value.shape[-1]
    for name, part in parts.items():
        needed, axes = ((batch, channels), "(B, D)") if name == "numerator" else ((batch, heads), "(B, H)")
        require_shape(NAME, f"initial.{name}", part, needed, axes, "Pass the state that an earlier call returned.")
    wide = accumulation_dtype(value.dtype)
    if any(part.dtype != wide for part in parts.values()):
        got = ", ".join(f"{name} {part.dtype}" for name, part in parts.items())
        raise UsageError(f"{NAME}: the initial state must be {wide} beside values of {value.dtype}; it is {got}")
    if reset is not None:
        require_bool(NAME, "reset", reset)
        require_shape(NAME, "reset", reset, (batch, length), "(B, T)", "One flag for every token of every sequence.")
    if kernel is not None:
        require_kernel(NAME, kernel, device=value.device, dtype=value.dtype)


def _left_over(score: Tensor, value: Tensor) -> bool:
    """Whether the heads do not share the channels evenly, at least one each."""
    heads, channels = score.shape[-1], value.shape[-1]
    return channels % heads != 0 or channels < heads if heads else channels > 0
