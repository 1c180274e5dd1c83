"""The gated scans, written as what they are: gates, then the loop of the linear scan."""

from collections.abc import Sequence

from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.ops.gated_scan.gates import Gates
from statewise.ops.linear_scan import reference as linear


def gated_scan(
    gates: Gates, inputs: Sequence[Tensor], initial: Tensor | None = None, reset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """All states and the last one, computed in at least float32; plain autograd differentiates it.

    inputs   pre-activations (B, T, D) in the order of `gates.inputs`
    initial  (B, D), zeros where absent
    reset    (B, T) bool, true where the state before the token is zero

    >>> import torch
    >>> from statewise.ops.gated_scan.gates import MinGru
    >>> gated_scan(MinGru("identity"), [torch.zeros(1, 2, 1), torch.ones(1, 2, 1)])[0].flatten().tolist()
    [0.5, 0.75]
    """
    dtype, wide = inputs[0].dtype, accumulation_dtype(inputs[0].dtype)
    decay, drive = gates.decay_and_drive(*(each.to(wide) for each in inputs))
    states, final = linear.linear_scan(decay, drive, None if initial is None else initial.to(wide), reset)
    return states.to(dtype), final.to(dtype)


def gated_scan_backward(
    gates: Gates,
    inputs: Sequence[Tensor],
    states: Tensor,
    initial: Tensor | None,
    reset: Tensor | None,
    grad_states: Tensor | None,
    grad_final: Tensor | None,
) -> tuple[tuple[Tensor, ...], Tensor]:
    """The gradients of the inputs and of initial (B, D), by the chain rule through loop and gates.

    >>> import torch
    >>> from statewise.ops.gated_scan.gates import MinGru
    >>> zero, one = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    >>> grads = gated_scan_backward(MinGru("identity"), [zero, one], 0.5 * one, None, None, one, None)
    >>> [each.item() for each in grads[0]]
    [0.25, 0.5]
    """
    dtype, wide = inputs[0].dtype, accumulation_dtype(inputs[0].dtype)
    pre = [each.to(wide) for each in inputs]
    decay, _ = gates.decay_and_drive(*pre)
    before, on_states, on_final = (
        None if each is None else each.to(wide) for each in (initial, grad_states, grad_final)
    )
    on_decay, on_drive, on_initial = linear.linear_scan_backward(
        decay, states.to(wide), before, reset, on_states, on_final
    )
    on_inputs = gates.gradients(*pre, on_decay=on_decay, on_drive=on_drive)
    return tuple(each.to(dtype) for each in on_inputs), on_initial.to(dtype)
