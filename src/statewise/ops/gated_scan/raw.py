"""The gated scans as two operators of torch.library. The front doors are in `__init__.py`.

The forward takes the pre-activations one by one, so that halves of one tensor and tensors of their own are read
alike; the backward returns their gradients side by side in one tensor.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from statewise.ops import cpu
from statewise.ops.choice import choose_kernel, instruction_set
from statewise.ops.gated_scan import reference
from statewise.ops.gated_scan.gates import GATES
from statewise.ops.operators import define

NO_GRADIENT = """the fused scans have no second derivatives: their backward is one kernel.
Build the scan from statewise.ops.linear_scan, which has them to any order: decay and drive are in
statewise.ops.gated_scan.gates."""


def _forward(
    gates: str, inputs: Sequence[Tensor], initial: Tensor | None, reset: Tensor | None, kernel: str | None
) -> tuple[Tensor, Tensor]:
    first, variant = inputs[0], GATES[gates]
    chosen = kernel or choose_kernel(device=first.device, dtype=first.dtype, shape=first.shape).kernel
    if chosen == "reference":
        return reference.gated_scan(variant, inputs, initial, reset)
    if chosen == "triton":
        from statewise.ops import triton

        return triton.diagonal_scan(triton.plug_in(variant), inputs, initial, reset)
    states, final = first.new_empty(first.shape), first.new_empty(first.shape[0], first.shape[2])
    cpu.run(
        variant.kernel,
        (*inputs, initial, reset),
        (states, final),
        dtype=first.dtype,
        shape=first.shape,
        instruction_set=instruction_set(chosen),
        options=(variant.option,),
    )
    return states, final


def _backward(
    gates: str,
    inputs: Sequence[Tensor],
    states: Tensor,
    initial: Tensor | None,
    reset: Tensor | None,
    grad_states: Tensor | None,
    grad_final: Tensor | None,
    kernel: str | None,
) -> tuple[Tensor, Tensor]:
    first, variant = inputs[0], GATES[gates]
    chosen = kernel or choose_kernel(device=first.device, dtype=first.dtype, shape=first.shape).kernel
    if chosen == "reference":
        on_inputs, on_initial = reference.gated_scan_backward(
            variant, inputs, states, initial, reset, grad_states, grad_final
        )
        return torch.cat(on_inputs, dim=-1), on_initial
    batch, length, channels = first.shape
    packed = first.new_empty(batch, length, len(inputs) * channels)
    parts = packed.chunk(len(inputs), dim=-1)
    arguments = (states, initial, reset, grad_states, grad_final)
    if chosen == "triton":
        from statewise.ops import triton

        plugged = triton.plug_in(variant)
        return packed, triton.diagonal_scan_backward(plugged, inputs, *arguments, outputs=parts)
    on_initial = first.new_empty(batch, channels)
    cpu.run(
        f"{variant.kernel}_backward",
        (*inputs, *arguments),
        (*parts, on_initial),
        dtype=first.dtype,
        shape=first.shape,
        instruction_set=instruction_set(chosen),
        options=(variant.option,),
    )
    return packed, on_initial


def _fake_forward(gates: str, inputs: Sequence[Tensor], *_: object) -> tuple[Tensor, Tensor]:
    first = inputs[0]
    return first.new_empty(first.shape), first.new_empty(first.shape[0], first.shape[2])


def _fake_backward(gates: str, inputs: Sequence[Tensor], *_: object) -> tuple[Tensor, Tensor]:
    batch, length, channels = inputs[0].shape
    return inputs[0].new_empty(batch, length, len(inputs) * channels), inputs[0].new_empty(batch, channels)


forward_op = define(
    "gated_scan(str gates, Tensor[] inputs, Tensor? initial, Tensor? reset, str? kernel) -> (Tensor, Tensor)",
    _forward,
    _fake_forward,
    no_gradient=NO_GRADIENT,
)
"""(states (B, T, D), final (B, D)), contiguous."""

backward_op = define(
    "gated_scan_backward(str gates, Tensor[] inputs, Tensor states, Tensor? initial, Tensor? reset, "
    "Tensor? grad_states, Tensor? grad_final, str? kernel) -> (Tensor, Tensor)",
    _backward,
    _fake_backward,
    no_gradient=NO_GRADIENT,
)
"""(the inputs' gradients side by side (B, T, k·D), grad_initial (B, D)), contiguous."""
