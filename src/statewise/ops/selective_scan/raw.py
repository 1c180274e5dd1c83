"""The selective scan as two operators of torch.library. The front door is in `__init__.py`.

A and the initial state are given in full, (B, E, N), so that the batch is the first axis of every tensor.
"""

from torch import Tensor

from statewise.ops.operators import define
from statewise.ops.selective_scan import chunked, fused

NO_GRADIENT = """selective_scan: second derivatives are not available: the backward of every form but the loop has none.
Differentiate the loop: selective_scan(..., kernel="reference")."""


def _forward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, initial: Tensor, reset: Tensor | None, kernel: str
) -> tuple[Tensor, Tensor, Tensor]:
    if kernel == "chunked":
        return chunked.selective_scan(u, delta, A, B, C, initial, reset)
    return fused.selective_scan(u, delta, A, B, C, initial, reset, kernel)


def _backward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    entering: Tensor,
    reset: Tensor | None,
    grad_outputs: Tensor,
    grad_final: Tensor,
    kernel: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    arguments = (u, delta, A, B, C, entering, reset, grad_outputs, grad_final)
    if kernel == "chunked":
        return chunked.selective_scan_backward(*arguments)
    return fused.selective_scan_backward(*arguments, kernel)


def _fake_forward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, initial: Tensor, reset: Tensor | None, kernel: str
) -> tuple[Tensor, Tensor, Tensor]:
    (batch, length, channels), states = u.shape, A.shape[-1]
    if kernel == "chunked":
        pieces = -(-length // chunked.piece_length(batch, length, channels, states))
    else:
        pieces = fused.pieces(length)
    entering = initial.new_empty(batch, pieces, states * channels)
    return u.new_empty(u.shape), initial.new_empty(initial.shape), entering


def _fake_backward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *_: object
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    on_u, on_delta, on_A, on_B, on_C = (each.new_empty(each.shape) for each in (u, delta, A, B, C))
    return on_u, on_delta, on_A, on_B, on_C, A.new_empty(A.shape)


forward_op = define(
    "selective_scan(Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor initial, Tensor? reset, str kernel) "
    "-> (Tensor, Tensor, Tensor)",
    _forward,
    _fake_forward,
    no_gradient=NO_GRADIENT,
)
"""(outputs (B, T, E), final (B, E, N), entering (B, pieces, N·E)), contiguous."""

backward_op = define(
    "selective_scan_backward(Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor entering, Tensor? reset, "
    "Tensor grad_outputs, Tensor grad_final, str kernel) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _backward,
    _fake_backward,
    no_gradient=NO_GRADIENT,
)
"""The gradients of u, delta, A (B, E, N), B, C and the initial state, contiguous."""
