"""The softmax scan as two operators of torch.library. The front door is in `__init__.py`.

States are in at least float32, and given in full: who has none passes -inf, 0, 0.
"""

from functools import partial

from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.ops import cpu
from statewise.ops.choice import choose_kernel, instruction_set
from statewise.ops.operators import define
from statewise.ops.softmax_scan import composed, reference

NO_GRADIENT = """softmax_scan: second derivatives are not available: its backward is one kernel.
Differentiate the loop itself: from statewise.ops.softmax_scan.reference import softmax_scan."""


def _forward(
    score: Tensor,
    value: Tensor,
    largest: Tensor,
    denominator: Tensor,
    numerator: Tensor,
    reset: Tensor | None,
    kernel: str | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    initial = (largest, denominator, numerator)
    chosen = kernel or choose_kernel(device=value.device, dtype=value.dtype, shape=value.shape).kernel
    if chosen == "reference":
        return reference.softmax_scan(score, value, initial, reset)
    if chosen == "triton":
        from statewise.ops import triton

        return triton.softmax_scan(score, value, initial, reset)
    outputs = _fake_forward(score, value)
    cpu.run(
        "softmax_scan",
        (score, value, *initial, reset),
        outputs,
        dtype=value.dtype,
        shape=value.shape,
        instruction_set=instruction_set(chosen),
        options=(_per_head(score, value),),
    )
    return outputs


def _backward(
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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    initial, on_final = (largest, denominator, numerator), (grad_largest, grad_denominator, grad_numerator)
    seen = (score, value, outputs, maxima, denominators)
    chosen = kernel or choose_kernel(device=value.device, dtype=value.dtype, shape=value.shape).kernel
    arguments = (*seen, initial, reset, grad_outputs, final_numerator, on_final)
    if chosen == "reference" or (chosen == "triton" and value.numel() == 0):
        return reference.softmax_scan_backward(*arguments)
    if chosen == "triton":
        from statewise.ops import triton

        return composed.softmax_scan_backward(*arguments, scan=partial(triton.diagonal_scan, triton.LINEAR))
    grads = _fake_backward(score, value)
    cpu.run(
        "softmax_scan_backward",
        (*seen, *initial, reset, grad_outputs, final_numerator, *on_final),
        grads,
        dtype=value.dtype,
        shape=value.shape,
        instruction_set=instruction_set(chosen),
        options=(_per_head(score, value),),
    )
    return grads


def _per_head(score: Tensor, value: Tensor) -> int:
    """Channels of a head; 1 where there is none, since the kernels make their blocks of whole heads."""
    return max(1, value.shape[-1] // max(1, score.shape[-1]))


def _fake_forward(score: Tensor, value: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    wide = accumulation_dtype(value.dtype)
    return (
        value.new_empty(value.shape),
        score.new_empty(score.shape, dtype=wide),
        score.new_empty(score.shape, dtype=wide),
        value.new_empty(value.shape[0], value.shape[2], dtype=wide),
    )


def _fake_backward(score: Tensor, value: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    wide = accumulation_dtype(value.dtype)
    per_head = (score.shape[0], score.shape[2])
    return (
        score.new_empty(score.shape),
        value.new_empty(value.shape),
        score.new_empty(per_head, dtype=wide),
        score.new_empty(per_head, dtype=wide),
        value.new_empty(value.shape[0], value.shape[2], dtype=wide),
    )


forward_op = define(
    "softmax_scan(Tensor score, Tensor value, Tensor largest, Tensor denominator, Tensor numerator, Tensor? reset, "
    "str? kernel) -> (Tensor, Tensor, Tensor, Tensor)",
    _forward,
    _fake_forward,
    no_gradient=NO_GRADIENT,
)
"""(outputs (B, T, D), maxima (B, T, H), denominators (B, T, H), final numerator (B, D)), contiguous."""

backward_op = define(
    "softmax_scan_backward(Tensor score, Tensor value, Tensor outputs, Tensor maxima, Tensor denominators, "
    "Tensor largest, Tensor denominator, Tensor numerator, Tensor? reset, Tensor grad_outputs, "
    "Tensor final_numerator, Tensor grad_largest, Tensor grad_denominator, Tensor grad_numerator, str? kernel) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _backward,
    _fake_backward,
    no_gradient=NO_GRADIENT,
)
"""The gradients of score, value and the three parts of the initial state, contiguous."""
