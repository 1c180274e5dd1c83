"""Inputs for scans, and what autograd makes of the reference in float64."""

from typing import NamedTuple

import torch
from torch import Tensor

from statewise.ops import available_kernels
from statewise.ops.linear_scan.reference import linear_scan as reference

KERNELS = tuple(available_kernels())
FAST_KERNELS = tuple(name for name in KERNELS if name != "reference")
SIZES = ((1, 1), (1, 257), (2, 3), (2, 64), (63, 1), (63, 3), (63, 64), (63, 257), (500, 3), (500, 257))
"""(T, D) around what vectors and cache lines hold."""
NAMES = ("decay", "drive", "initial")


class Scan(NamedTuple):
    """One scan's arguments: decay and drive (B, T, D), initial (B, D) or None, reset (B, T) or None."""

    decay: Tensor
    drive: Tensor
    initial: Tensor | None
    reset: Tensor | None

    def map(self, function) -> "Scan":
        """The scan with `function` applied to decay, drive and initial."""
        return Scan(*(None if value is None else function(value) for value in self[:3]), self.reset)


def draw(*shape, dtype=torch.float64, initial=True, reset=False, seed=0) -> Scan:
    """Decays in [-0.2, 1), normal drives and initial states, resets at a tenth of the tokens; shape (B, T, D)."""
    generator = torch.Generator().manual_seed(seed)
    B, T, D = shape
    scan = Scan(
        torch.rand(B, T, D, generator=generator, dtype=torch.float64) * 1.2 - 0.2,
        torch.randn(B, T, D, generator=generator, dtype=torch.float64),
        torch.randn(B, D, generator=generator, dtype=torch.float64) if initial else None,
        torch.rand(B, T, generator=generator) < 0.1 if reset else None,
    )
    return scan.map(lambda value: value.to(dtype))


def cotangents(scan, seed=1) -> tuple[Tensor, Tensor]:
    """Random gradients for states (B, T, D) and final (B, D)."""
    generator = torch.Generator().manual_seed(seed)
    B, T, D = scan.drive.shape
    on_states = torch.randn(B, T, D, generator=generator, dtype=torch.float64)
    on_final = torch.randn(B, D, generator=generator, dtype=torch.float64)
    return on_states.to(scan.drive.dtype), on_final.to(scan.drive.dtype)


def gradients(function, scan, grads) -> dict[str, Tensor]:
    """The gradients of decay, drive and initial, by name; `grads` holds one for each output, None for an absent one.

    function  takes (decay, drive, initial, reset) and returns (states, final)
    """
    leaves = scan.map(lambda value: value.detach().clone(memory_format=torch.preserve_format).requires_grad_())
    outputs = function(*leaves)
    used = [(output, grad) for output, grad in zip(outputs, grads, strict=True) if grad is not None]
    names = [name for name in NAMES if getattr(leaves, name) is not None]
    values = torch.autograd.grad(
        [output for output, _ in used],
        [getattr(leaves, name) for name in names],
        [grad for _, grad in used],
        materialize_grads=True,
    )
    return dict(zip(names, values, strict=True))


def twin(scan) -> tuple[Tensor, Tensor]:
    """States and final state by the reference in float64."""
    return reference(*scan.map(torch.Tensor.double))


def twin_gradients(scan, grads) -> dict[str, Tensor]:
    """Gradients by plain autograd through the reference in float64."""
    wide = tuple(None if grad is None else grad.double() for grad in grads)
    return gradients(reference, scan.map(torch.Tensor.double), wide)
