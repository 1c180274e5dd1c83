"""The linear scan in C++: csrc/linear_scan.cpp."""

from torch import Tensor

from statewise.ops import cpu


def linear_scan(
    decay: Tensor, drive: Tensor, initial: Tensor | None, reset: Tensor | None, *, instruction_set: str
) -> tuple[Tensor, Tensor]:
    """As `reference.linear_scan`, with the same bits where time is not cut; reads 2 N numbers, writes N = B·T·D.

    >>> import torch
    >>> half, one = torch.full((1, 3, 1), 0.5), torch.ones(1, 3, 1)
    >>> linear_scan(half, one, None, None, instruction_set="portable")[1].tolist()
    [[1.75]]
    """
    states, final = drive.new_empty(drive.shape), drive.new_empty(drive.shape[0], drive.shape[2])
    cpu.run(
        "linear_scan",
        (decay, drive, initial, reset),
        (states, final),
        dtype=drive.dtype,
        shape=drive.shape,
        instruction_set=instruction_set,
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
    """As `reference.linear_scan_backward`, with the same bits where time is not cut; reads 3 N, writes 2 N.

    >>> import torch
    >>> half, states = torch.full((1, 3, 1), 0.5), torch.tensor([1.0, 1.5, 1.75]).reshape(1, 3, 1)
    >>> grads = linear_scan_backward(half, states, None, None, states, None, instruction_set="portable")
    >>> grads[2].tolist()
    [[1.09375]]
    """
    grads = decay.new_empty(decay.shape), decay.new_empty(decay.shape)
    grad_initial = decay.new_empty(decay.shape[0], decay.shape[2])
    cpu.run(
        "linear_scan_backward",
        # The drive's place is the decay's: its gradient does not depend on it.
        (decay, decay, states, initial, reset, grad_states, grad_final),
        (*grads, grad_initial),
        dtype=decay.dtype,
        shape=decay.shape,
        instruction_set=instruction_set,
    )
    return *grads, grad_initial
