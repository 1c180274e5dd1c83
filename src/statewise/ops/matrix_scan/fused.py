"""The matrix scan and the delta scan on the C++ kernels, as one function with gradients."""

from typing import Any

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.ops.forward_mode import apply_in_reverse
from statewise.ops.matrix_scan.raw import NO_GRADIENT, backward_op, forward_op
from statewise.ops.matrix_scan.reference import empty_state

DTYPES = (torch.float32, torch.float64, torch.bfloat16)


LARGEST_STATE = 64 * 128
"""Numbers of a head's state up to which stepping through the tokens beats chunks of matrix products, where a head has
one decay: at 64 × 64 it takes 0.6 to 0.9 of their time, at 128 × 128 it takes 1 to 1.5 (forward + backward, two cores).
Where every channel has its own decay, chunks need exponentials for each and lose at any size."""


def runs_on_cpu(value: Tensor) -> bool:
    """Whether the kernels take values of this device and dtype."""
    return value.device.type == "cpu" and value.dtype in DTYPES


def choose(key: Tensor, value: Tensor, log_decay: Tensor | None) -> str:
    """cpu where the C++ kernel takes the tensors and is the faster form, else chunked; a function of shapes and dtype.

    >>> token, wide = torch.zeros(1, 9, 2, 64), torch.zeros(1, 9, 2, 256)
    >>> choose(token, token, None), choose(wide, wide, None), choose(wide, wide, wide)
    ('cpu', 'chunked', 'cpu')
    """
    by_channel = log_decay is not None and log_decay.ndim == 4
    small = key.shape[-1] * value.shape[-1] <= LARGEST_STATE
    return "cpu" if runs_on_cpu(value) and (by_channel or small) else "chunked"


def scan(
    where: str,
    kernel: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    recall: Tensor | None,
    remove: Tensor | None,
    log_decay: Tensor | None,
    initial: Tensor | None,
    reset: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """As `delta_scan`, and without recall and remove as `matrix_scan`; `where` is what errors start with."""
    if not runs_on_cpu(value):
        raise UsageError(
            f"{where}: kernel {kernel!r} does not take {value.dtype} on {value.device.type}; it takes float32, float64 "
            'and bfloat16 on the CPU. Pass kernel="chunked", which takes everything.'
        )
    before = empty_state(key, value) if initial is None else initial
    decay = None if log_decay is None else log_decay.to(before.dtype).exp()
    arguments = (*distinct(query, key, value, recall, remove), decay, before, reset, kernel)
    outputs, final, _ = apply_in_reverse(where, "matrix_scan", MatrixScan, *arguments)
    return outputs, final


def matrix_scan(
    kernel: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    log_decay: Tensor | None,
    initial: Tensor | None,
    reset: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """As `reference.matrix_scan`: nothing is recalled or removed."""
    return scan("matrix_scan", kernel, query, key, value, None, None, log_decay, initial, reset)


def distinct(*tensors: Tensor | None) -> list[Tensor | None]:
    """The tensors, a view in place of one that came before: compilers refuse a Function given one twice."""
    return [
        each.view_as(each) if each is not None and any(each is other for other in tensors[:place]) else each
        for place, each in enumerate(tensors)
    ]


class MatrixScan(torch.autograd.Function):
    """The scan; its gradient is one kernel, and has none."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        recall: Tensor | None,
        remove: Tensor | None,
        decay: Tensor | None,
        initial: Tensor,
        reset: Tensor | None,
        kernel: str,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(outputs, final, the states kept for the backward)."""
        outputs, final, kept = forward_op(query, key, value, recall, remove, decay, initial, reset, kernel)
        return outputs, final, kept

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        """Keep the inputs but the initial state, and every 32nd state."""
        *tensors, _, reset, ctx.kernel = inputs
        ctx.mark_non_differentiable(output[2])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, reset, output[2], output[1])

    @staticmethod
    def backward(ctx: Any, on_outputs: Tensor | None, on_final: Tensor | None, _: Any) -> tuple[Tensor | None, ...]:
        """Gradients of everything but reset."""
        if on_outputs is None and on_final is None:
            return (None,) * 9
        *tensors, reset, kept, final = ctx.saved_tensors
        value = tensors[2]
        on_outputs = torch.zeros_like(value) if on_outputs is None else on_outputs
        on_final = torch.zeros_like(final) if on_final is None else on_final
        grads = MatrixScanBackward.apply(*tensors, reset, kept, on_outputs, on_final, ctx.kernel)  # type: ignore[no-untyped-call]
        fitted = [None if given is None else _fit(grad, given) for grad, given in zip(grads, tensors, strict=False)]
        return *fitted, grads[-1], None, None


class MatrixScanBackward(torch.autograd.Function):
    """Its gradient, which has none."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        recall: Tensor | None,
        remove: Tensor | None,
        decay: Tensor | None,
        reset: Tensor | None,
        kept: Tensor,
        on_outputs: Tensor,
        on_final: Tensor,
        kernel: str,
    ) -> tuple[Tensor, ...]:
        """Gradients of the six inputs, absent ones (B, 0), and of initial."""
        inputs = (query, key, value, recall, remove, decay)
        return tuple(backward_op(*inputs, reset, kept, on_outputs, on_final, kernel))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        """Refuse."""
        raise UsageError(NO_GRADIENT.format("matrix_scan"))


def _fit(grad: Tensor, given: Tensor) -> Tensor:
    """A gradient for every head and channel, summed over those that shared what was given."""
    if given.ndim == 3:
        return grad.sum(-1)
    return grad.sum(2, keepdim=True) if given.shape[2] < grad.shape[2] else grad
