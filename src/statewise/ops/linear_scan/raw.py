"""The linear scan as two operators of torch.library, which compilers and exporters take as they are.

No gradients, no checks: the front door is in `__init__.py`.
"""

from typing import Any

import torch
from torch import Tensor

from statewise.ops.choice import choose_kernel, instruction_set
from statewise.ops.linear_scan import cpu, reference

Dims = tuple[int | None, ...]


@torch.library.custom_op("statewise::linear_scan", mutates_args=())
def forward_op(
    decay: Tensor, drive: Tensor, initial: Tensor | None, reset: Tensor | None, kernel: str | None
) -> tuple[Tensor, Tensor]:
    """(states (B, T, D), final (B, D)), contiguous. The kernel is chosen here, so an exported graph can move."""
    chosen = kernel or choose_kernel(device=drive.device, dtype=drive.dtype, shape=drive.shape).kernel
    if chosen == "reference":
        return reference.linear_scan(decay, drive, initial, reset)
    return cpu.linear_scan(decay, drive, initial, reset, instruction_set=instruction_set(chosen))


@torch.library.custom_op("statewise::linear_scan_backward", mutates_args=())
def backward_op(
    decay: Tensor,
    states: Tensor,
    initial: Tensor | None,
    reset: Tensor | None,
    grad_states: Tensor | None,
    grad_final: Tensor | None,
    kernel: str | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(grad_decay (B, T, D), grad_drive (B, T, D), grad_initial (B, D)), contiguous."""
    chosen = kernel or choose_kernel(device=decay.device, dtype=decay.dtype, shape=decay.shape).kernel
    arguments = (decay, states, initial, reset, grad_states, grad_final)
    if chosen == "reference":
        return reference.linear_scan_backward(*arguments)
    return cpu.linear_scan_backward(*arguments, instruction_set=instruction_set(chosen))


@forward_op.register_fake
def _(
    decay: Tensor, drive: Tensor, initial: Tensor | None, reset: Tensor | None, kernel: str | None
) -> tuple[Tensor, Tensor]:
    return drive.new_empty(drive.shape), _new_state(drive)


@backward_op.register_fake
def _(
    decay: Tensor,
    states: Tensor,
    initial: Tensor | None,
    reset: Tensor | None,
    grad_states: Tensor | None,
    grad_final: Tensor | None,
    kernel: str | None,
) -> tuple[Tensor, Tensor, Tensor]:
    return decay.new_empty(decay.shape), decay.new_empty(decay.shape), _new_state(decay)


@forward_op.register_vmap
def _(info: Any, in_dims: Dims, *arguments: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    return _over_folded_batch(forward_op, info.batch_size, in_dims, arguments)


@backward_op.register_vmap
def _(info: Any, in_dims: Dims, *arguments: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    return _over_folded_batch(backward_op, info.batch_size, in_dims, arguments)


def _over_folded_batch(
    operator: Any, size: int, in_dims: Dims, arguments: tuple[Any, ...]
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """Run `operator` once with the mapped axis folded into the batch, and unfold its outputs at axis 0."""
    folded = [
        _fold(value, dim, size) if isinstance(value, Tensor) else value
        for value, dim in zip(arguments, in_dims, strict=True)
    ]
    outputs = tuple(output.unflatten(0, (size, -1)) for output in operator(*folded))
    return outputs, (0,) * len(outputs)


def _fold(value: Tensor, dim: int | None, size: int) -> Tensor:
    """(size, B, …) as (size·B, …); a tensor that is not mapped is repeated."""
    mapped = value.expand(size, *value.shape) if dim is None else value.movedim(dim, 0)
    return mapped.flatten(0, 1)


def _new_state(values: Tensor) -> Tensor:
    """An empty (B, D) for values (B, T, D)."""
    return values.new_empty(values.shape[0], values.shape[2])
