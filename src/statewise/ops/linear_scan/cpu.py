"""The linear scan in C++: csrc/linear_scan.cpp, for float32 and float64 on the CPU.

Rows are read in place at any batch and time stride, 0 included. What is not contiguous along the channels
is copied once before.
"""

import torch
from torch import Tensor

from statewise import _kernels

FORWARD = {torch.float32: _kernels.linear_scan_float32, torch.float64: _kernels.linear_scan_float64}
BACKWARD = {
    torch.float32: _kernels.linear_scan_backward_float32,
    torch.float64: _kernels.linear_scan_backward_float64,
}
ABSENT = (0, 0, 0)


def linear_scan(
    decay: Tensor, drive: Tensor, initial: Tensor | None, reset: Tensor | None, *, instruction_set: str
) -> tuple[Tensor, Tensor]:
    """As `reference.linear_scan`, with the same bits; reads 2 N numbers and writes N, N = B·T·D.

    >>> half, one = torch.full((1, 3, 1), 0.5), torch.ones(1, 3, 1)
    >>> linear_scan(half, one, None, None, instruction_set="portable")[1].tolist()
    [[1.75]]
    """
    batch, _, channels = drive.shape
    states, final = drive.new_empty(drive.shape), drive.new_empty(batch, channels)
    # Named, so that a copy made for the kernel lives until it has run.
    a, b, before = readable(decay), readable(drive), readable(initial)
    FORWARD[drive.dtype](
        instruction_set,
        torch.get_num_threads(),
        _sizes(drive),
        place(a),
        place(b),
        place(before),
        place(reset),
        place(states),
        place(final),
    )
    return states, final


def linear_scan_backward(
    decay: Tensor,
    states: Tensor,
    initial: Tensor | None,
    reset: Tensor | None,
    grad_states: Tensor | None,
    grad_final: Tensor | None,
    *,
    instruction_set: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `reference.linear_scan_backward`, with the same bits; reads 3 N numbers and writes 2 N, N = B·T·D.

    >>> half, states = torch.full((1, 3, 1), 0.5), torch.tensor([1.0, 1.5, 1.75]).reshape(1, 3, 1)
    >>> grads = linear_scan_backward(half, states, None, None, states, None, instruction_set="portable")
    >>> grads[2].tolist()
    [[1.09375]]
    """
    batch, _, channels = decay.shape
    grad_decay, grad_drive = decay.new_empty(decay.shape), decay.new_empty(decay.shape)
    grad_initial = decay.new_empty(batch, channels)
    a, h, before = readable(decay), readable(states), readable(initial)
    on_states, on_final = readable(grad_states), readable(grad_final)
    BACKWARD[decay.dtype](
        instruction_set,
        torch.get_num_threads(),
        _sizes(decay),
        place(a),
        place(h),
        place(before),
        place(reset),
        place(on_states),
        place(on_final),
        place(grad_decay),
        place(grad_drive),
        place(grad_initial),
    )
    return grad_decay, grad_drive, grad_initial


def readable(tensor: Tensor | None) -> Tensor | None:
    """The tensor with its channels contiguous in memory; a copy where they are not.

    Signs and conjugates left to apply are none of its business: torch's dispatcher applies them before any
    operator of our own.

    >>> readable(torch.zeros(2, 3, 4).transpose(1, 2)).stride()
    (12, 3, 1)
    """
    if tensor is None or tensor.stride(-1) == 1 or tensor.shape[-1] <= 1:
        return tensor
    return tensor.contiguous()


def place(tensor: Tensor | None) -> tuple[int, int, int]:
    """Address, batch stride and time stride of (B, T, …). Of (B, D) the kernels read time 0 only.

    >>> place(torch.zeros(2, 3, 4))[1:], place(None)
    ((12, 4), (0, 0, 0))
    """
    return ABSENT if tensor is None else (tensor.data_ptr(), tensor.stride(0), tensor.stride(1))


def _sizes(values: Tensor) -> tuple[int, int, int]:
    batch, length, channels = values.shape
    return batch, length, channels
