"""Scans with a state of matrices as two operators of torch.library, and their gradients: the C++ kernels.

Both the matrix scan and the delta scan are these, with and without what is recalled and removed. Heads may share their
queries, keys, recalls and removals; decays are given as such, and not as logs.
"""

from typing import Any

from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.ops import cpu
from statewise.ops.choice import instruction_set
from statewise.ops.operators import define

KEPT = 32
"""Every so many tokens the forward keeps a state for the backward: as many states of 64 × 64 as a second-level cache
holds are then stepped through again, and 1/32 of all is kept."""

NO_GRADIENT = """{0}: second derivatives are not available from the C++ kernel.
Pass kernel="chunked", which has them."""


def _forward(
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
    outputs = _fake_forward(query, key, value, recall, remove, decay, initial)
    if value.numel() == 0 or query.numel() == 0:
        return outputs[0].zero_(), initial.clone(), outputs[2].zero_()
    inputs = (*map(flat, (query, key, value, recall, remove, decay)), flat(initial, 1), reset)
    _run("matrix_scan", kernel, query, value, decay, inputs, (flat(outputs[0]), *outputs[1:]))
    return outputs


def _backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    recall: Tensor | None,
    remove: Tensor | None,
    decay: Tensor | None,
    reset: Tensor | None,
    kept: Tensor,
    grad_outputs: Tensor,
    grad_final: Tensor,
    kernel: str,
) -> tuple[Tensor, ...]:
    grads = _fake_backward(query, key, value, recall, remove, decay, reset, kept, grad_outputs, grad_final, kernel)
    if value.numel() == 0 or query.numel() == 0:
        return *(grad.zero_() for grad in grads[:-1]), grad_final.clone()
    inputs = (*map(flat, (query, key, value, recall, remove, decay)), reset, kept)
    given = (query, key, value, recall, remove, decay)
    outputs = [None if each is None else flat(grad) for each, grad in zip(given, grads, strict=False)]
    arguments = (*inputs, flat(grad_outputs), flat(grad_final, 1))
    _run("matrix_scan_backward", kernel, query, value, decay, arguments, (*outputs, flat(grads[-1], 1)))
    return grads


def _run(name: str, kernel: str, query: Tensor, value: Tensor, decay: Tensor | None, inputs: Any, outputs: Any) -> None:
    batch, length, heads, values = value.shape
    decays = 0 if decay is None else decay.shape[3] if decay.ndim == 4 else 1
    cpu.run(
        name,
        inputs,
        outputs,
        dtype=value.dtype,
        shape=(batch, length, heads),
        instruction_set=instruction_set(kernel),
        options=(query.shape[3], values, query.shape[2], decays, KEPT),
    )


def flat(x: Tensor | None, start: int = 2) -> Tensor | None:
    """A tensor with its axes from `start` on as one, as the kernels take it: a view where those are contiguous."""
    return x if x is None or x.ndim == start + 1 else x.flatten(start)


def _fake_forward(query: Tensor, _: Tensor, value: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    batch, length, heads, values = value.shape
    wide, state = accumulation_dtype(value.dtype), (heads, query.shape[3], values)
    pieces = (length + KEPT - 1) // KEPT
    return (
        value.new_empty(value.shape),
        value.new_empty((batch, *state), dtype=wide),
        value.new_empty((batch, pieces, *state), dtype=wide),
    )


def _fake_backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    recall: Tensor | None,
    remove: Tensor | None,
    decay: Tensor | None,
    *_: Any,
) -> tuple[Tensor, ...]:
    batch, length, heads, values = value.shape
    keys, wide = query.shape[3], accumulation_dtype(value.dtype)
    row = (batch, length, heads, keys)
    return (
        value.new_empty(row),
        value.new_empty(row),
        value.new_empty(value.shape),
        value.new_empty((batch, 0) if recall is None else row),
        value.new_empty((batch, 0) if remove is None else row),
        value.new_empty((batch, 0) if decay is None else row, dtype=wide),
        value.new_empty((batch, heads, keys, values), dtype=wide),
    )


ARGUMENTS = "Tensor query, Tensor key, Tensor value, Tensor? recall, Tensor? remove, Tensor? decay, "

forward_op = define(
    f"matrix_scan({ARGUMENTS} Tensor initial, Tensor? reset, str kernel) -> (Tensor, Tensor, Tensor)",
    _forward,
    _fake_forward,
    no_gradient=NO_GRADIENT.format("matrix_scan"),
)
"""(outputs (B, T, H, V), final (B, H, K, V), the states kept (B, ⌈T/32⌉, H, K, V)), contiguous."""

backward_op = define(
    f"matrix_scan_backward({ARGUMENTS} Tensor? reset, Tensor kept, Tensor grad_outputs, Tensor grad_final, str kernel) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _backward,
    _fake_backward,
    no_gradient=NO_GRADIENT.format("matrix_scan"),
)
"""The gradients of query, key, value, recall, remove, decay, each for every head and key channel, and of initial.
Those of what was absent are (B, 0)."""
