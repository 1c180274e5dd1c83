"""The selective scan on the C++ kernels (csrc/selective_scan.cpp), token by token."""

import torch
from torch import Tensor

from statewise.ops import cpu
from statewise.ops.choice import instruction_set

KERNELS = ("cpu", "cpu-portable")
DTYPES = (torch.float32, torch.float64, torch.bfloat16)

KEPT = 32
"""Every so many tokens the forward keeps a state for the backward, N/32 numbers for each channel and token. The states
and decays of as many, for 16 channels with 16 states, are 64 KiB, which a second-level cache holds."""


def runs_on_cpu(u: Tensor) -> bool:
    """Whether the kernels take inputs of this device and dtype.

    >>> runs_on_cpu(torch.zeros(1)), runs_on_cpu(torch.zeros(1, dtype=torch.float16))
    (True, False)
    """
    return u.device.type == "cpu" and u.dtype in DTYPES


def pieces(length: int) -> int:
    """How many states are kept of a sequence.

    >>> pieces(0), pieces(32), pieces(33)
    (0, 1, 2)
    """
    return -(-length // KEPT)


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, initial: Tensor, reset: Tensor | None, kernel: str
) -> tuple[Tensor, Tensor, Tensor]:
    """As `chunked.selective_scan`, its pieces `KEPT` tokens long; `kernel` is cpu or cpu-portable."""
    (batch, length, channels), states = u.shape, A.shape[-1]
    outputs, final = u.new_empty(u.shape), initial.new_empty(initial.shape)
    entering = initial.new_empty(batch, pieces(length), states * channels)
    if u.numel() == 0:
        return outputs, initial.clone(memory_format=torch.contiguous_format), entering.zero_()
    inputs = (u, delta, A, B, C, initial, reset)
    _run("selective_scan", kernel, states, u, inputs, (outputs, final, entering))
    return outputs, final, entering


def selective_scan_backward(
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
    """As `chunked.selective_scan_backward`."""
    grads = tuple(each.new_empty(each.shape) for each in (u, delta, A, B, C))
    on_u, on_delta, on_A, on_B, on_C = grads
    if u.numel() == 0:
        on_initial = grad_final.clone(memory_format=torch.contiguous_format)
        return on_u, on_delta, on_A.zero_(), on_B.zero_(), on_C.zero_(), on_initial
    on_initial = A.new_empty(A.shape)
    inputs = (u, delta, A, B, C, entering, reset, grad_outputs, grad_final)
    _run("selective_scan_backward", kernel, A.shape[-1], u, inputs, (*grads, on_initial))
    return on_u, on_delta, on_A, on_B, on_C, on_initial


def _run(
    name: str, kernel: str, states: int, u: Tensor, inputs: tuple[Tensor | None, ...], outputs: tuple[Tensor, ...]
) -> None:
    cpu.run(
        name,
        inputs,
        outputs,
        dtype=u.dtype,
        shape=u.shape,
        instruction_set=instruction_set(kernel),
        options=(states, KEPT),
    )
