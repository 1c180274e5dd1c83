"""The linear scan as two operators of torch.library. The front door is in `__init__.py`.

The kernel is chosen when an operator runs, so that an exported graph can move to another machine.
"""

from torch import Tensor

from statewise.ops.choice import choose_kernel, instruction_set
from statewise.ops.linear_scan import cpu, reference
from statewise.ops.operators import define

NO_GRADIENT = "statewise::linear_scan: this operator has no gradient; statewise.ops.linear_scan has."


def _forward(
    decay: Tensor, drive: Tensor, initial: Tensor | None, reset: Tensor | None, kernel: str | None
) -> tuple[Tensor, Tensor]:
    chosen = kernel or choose_kernel(device=drive.device, dtype=drive.dtype, shape=drive.shape).kernel
    if chosen == "reference":
        return reference.linear_scan(decay, drive, initial, reset)
    if chosen == "triton":
        from statewise.ops import triton

        return triton.diagonal_scan(triton.LINEAR, (decay, drive), initial, reset)
    return cpu.linear_scan(decay, drive, initial, reset, instruction_set=instruction_set(chosen))


def _backward(
    decay: Tensor,
    states: Tensor,
    initial: Tensor | None,
    reset: Tensor | None,
    grad_states: Tensor | None,
    grad_final: Tensor | None,
    kernel: str | None,
) -> tuple[Tensor, Tensor, Tensor]:
    chosen = kernel or choose_kernel(device=decay.device, dtype=decay.dtype, shape=decay.shape).kernel
    arguments = (decay, states, initial, reset, grad_states, grad_final)
    if chosen == "reference":
        return reference.linear_scan_backward(*arguments)
    if chosen == "triton":
        from statewise.ops import triton

        grads = decay.new_empty(decay.shape), decay.new_empty(decay.shape)
        on_initial = triton.diagonal_scan_backward(triton.LINEAR, (decay, decay), *arguments[1:], outputs=grads)
        return *grads, on_initial
    return cpu.linear_scan_backward(*arguments, instruction_set=instruction_set(chosen))


def _fake_forward(decay: Tensor, drive: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return drive.new_empty(drive.shape), _new_state(drive)


def _fake_backward(decay: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor]:
    return decay.new_empty(decay.shape), decay.new_empty(decay.shape), _new_state(decay)


def _new_state(values: Tensor) -> Tensor:
    """An empty (B, D) for values (B, T, D)."""
    return values.new_empty(values.shape[0], values.shape[2])


forward_op = define(
    "linear_scan(Tensor decay, Tensor drive, Tensor? initial, Tensor? reset, str? kernel) -> (Tensor, Tensor)",
    _forward,
    _fake_forward,
    no_gradient=NO_GRADIENT,
)
"""(states (B, T, D), final (B, D)), contiguous."""

backward_op = define(
    "linear_scan_backward(Tensor decay, Tensor states, Tensor? initial, Tensor? reset, Tensor? grad_states, "
    "Tensor? grad_final, str? kernel) -> (Tensor, Tensor, Tensor)",
    _backward,
    _fake_backward,
    no_gradient=NO_GRADIENT,
)
"""(grad_decay (B, T, D), grad_drive (B, T, D), grad_initial (B, D)), contiguous."""
