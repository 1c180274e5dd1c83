"""Launches the Triton kernels of `jit.py`, on a GPU or, under Triton's interpreter, on CPU tensors.

Importing this package needs triton (the extra `gpu`); statewise.ops.choice asks first. Tile sizes are fixed: nothing
is tuned on the first call.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.ops.cpu import readable
from statewise.ops.gated_scan.gates import ACTIVATIONS, Gates, MinLstm
from statewise.ops.triton import jit

BLOCK_D = 128
"""Channels of a program, one for each thread of four warps."""

ENOUGH_PROGRAMS = 2048
"""Programs of 128 threads that fill a chip: 132 multiprocessors hold 16 of them each."""

SHORTEST_SEGMENT = 64
"""Steps below which a segment's own passes cost more than the parallelism gives."""

LINEAR = (0, 0)
"""The plug-in of the linear scan: recurrence and activation as numbered in `jit.py`."""


def plug_in(gates: Gates) -> tuple[int, int]:
    """The recurrence and the activation as numbered in `jit.py`.

    >>> plug_in(MinLstm("tanh", normalise=False))
    (2, 1)
    """
    recurrence = 2 + gates.normalise if isinstance(gates, MinLstm) else 1
    return recurrence, ACTIVATIONS.index(gates.activation)


def diagonal_scan(
    plugged: tuple[int, int], inputs: Sequence[Tensor], initial: Tensor | None, reset: Tensor | None
) -> tuple[Tensor, Tensor]:
    """States (B, T, D) and final (B, D).

    plugged  LINEAR or what `plug_in` says
    inputs   (B, T, D) each, of any batch and time strides; initial (B, D); reset (B, T)
    """
    first = inputs[0]
    batch, length, channels = first.shape
    wide = accumulation_dtype(first.dtype)
    before = first.new_zeros((batch, channels)) if initial is None else initial
    if length == 0 or batch * channels == 0:
        return first.new_empty(first.shape), before.clone()
    cut = Cut.of(batch, length, channels)
    flags = Flags.of(reset, first)
    rows = Rows.of(inputs)

    def launch(
        entering: Tensor, states: Tensor, final: Tensor, products: Tensor, cuts: Tensor, *, sum_up: bool
    ) -> None:
        with on_device(first):
            jit.forward_kernel[cut.grid](
                *rows.tensors, entering, flags.tensor, states, final, products, cuts,
                *rows.strides, *flags.strides, length, channels, cut.segment_length, cut.segments,
                *plugged, reset is not None, sum_up, number(wide), BLOCK_D,
            )  # fmt: skip

    states, final = first.new_empty(first.shape), first.new_empty(batch, channels)
    entering = before.to(wide).unsqueeze(1).contiguous()
    if cut.segments > 1:
        local, products, cuts = cut.summaries(first, wide)
        launch(entering, local, final, products, cuts, sum_up=True)
        entering = carried(products, local, cuts, before.to(wide))
    launch(entering, states, final, final, flags.tensor, sum_up=False)
    return states, final


def diagonal_scan_backward(
    plugged: tuple[int, int],
    inputs: Sequence[Tensor],
    states: Tensor,
    initial: Tensor | None,
    reset: Tensor | None,
    grad_states: Tensor | None,
    grad_final: Tensor | None,
    *,
    outputs: Sequence[Tensor],
) -> Tensor:
    """Write the inputs' gradients to `outputs`, (B, T, D) each and of equal strides; return that of initial (B, D)."""
    first = inputs[0]
    batch, length, channels = first.shape
    wide = accumulation_dtype(first.dtype)
    after = first.new_zeros((batch, channels)) if grad_final is None else grad_final
    if length == 0 or batch * channels == 0:
        return after.clone()
    before = first.new_zeros((batch, channels)) if initial is None else initial.contiguous()
    incoming = readable(first.new_zeros(()).expand(first.shape).contiguous() if grad_states is None else grad_states)
    assert incoming is not None
    on_initial = first.new_empty(batch, channels)
    cut = Cut.of(batch, length, channels)
    flags = Flags.of(reset, first)
    rows = Rows.of(inputs)
    parts = Rows.of(outputs)
    kept = states.contiguous()

    def launch(entering: Tensor, grads: Sequence[Tensor], products: Tensor, cuts: Tensor, *, sum_up: bool) -> None:
        with on_device(first):
            jit.backward_kernel[cut.grid](
                *rows.tensors, kept, before, flags.tensor, incoming, entering, *grads, on_initial, products, cuts,
                *rows.strides, *flags.strides, *incoming.stride()[:2], *parts.strides[:2],
                length, channels, cut.segment_length, cut.segments,
                *plugged, reset is not None, sum_up, number(wide), BLOCK_D,
            )  # fmt: skip

    entering = after.to(wide).unsqueeze(1).contiguous()
    if cut.segments > 1:
        local, products, cuts = cut.summaries(first, wide)
        launch(entering, (local,) * 3, products, cuts, sum_up=True)
        entering = carried(products, local, cuts, after.to(wide))
    launch(entering, parts.tensors, on_initial, flags.tensor, sum_up=False)
    return on_initial


def softmax_scan(
    score: Tensor, value: Tensor, initial: tuple[Tensor, Tensor, Tensor], reset: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Outputs (B, T, D), maxima and denominators (B, T, H) and the final numerator (B, D)."""
    batch, length, channels = value.shape
    heads, wide = score.shape[-1], accumulation_dtype(value.dtype)
    outputs = value.new_empty(value.shape)
    maxima, denominators = (score.new_empty(score.shape, dtype=wide) for _ in range(2))
    if length == 0 or batch * channels == 0:
        return outputs, maxima, denominators, initial[2].clone()
    final = value.new_empty((batch, channels), dtype=wide)
    flags, rows = Flags.of(reset, value), Rows.of((score, value))
    with on_device(value):
        jit.softmax_kernel[batch, triton.cdiv(channels, BLOCK_D)](
            *rows.tensors[:2], *(each.contiguous() for each in initial), flags.tensor,
            outputs, maxima, denominators, final,
            *rows.strides[:4], *flags.strides, length, channels, heads,
            reset is not None, number(wide), BLOCK_D,
        )  # fmt: skip
    return outputs, maxima, denominators, final


class Cut(NamedTuple):
    """How time is cut: a function of the shape alone, so that equal inputs give equal bits."""

    grid: tuple[int, int, int]
    segments: int
    segment_length: int

    @staticmethod
    def of(batch: int, length: int, channels: int) -> "Cut":
        """One segment where the channels fill the chip, else as many as do, none shorter than SHORTEST_SEGMENT.

        >>> Cut.of(16, 4096, 1024).segments, Cut.of(1, 65536, 16).segments, Cut.of(1, 256, 16).segments
        (16, 1024, 4)
        """
        blocks = triton.cdiv(channels, BLOCK_D)
        wanted = triton.cdiv(ENOUGH_PROGRAMS, batch * blocks)
        pieces = max(1, min(wanted, length // SHORTEST_SEGMENT))
        segment_length = triton.cdiv(length, pieces)
        segments = triton.cdiv(length, segment_length)
        return Cut((batch, blocks, segments), segments, segment_length)

    def summaries(self, like: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Empty (B, segments, D): local states, products of decays, and whether a reset was met."""
        shape = (self.grid[0], self.segments, like.shape[-1])
        return (
            like.new_empty(shape, dtype=dtype),
            like.new_empty(shape, dtype=dtype),
            like.new_empty(shape, dtype=torch.int8),
        )


class Rows(NamedTuple):
    """Three tensors and their batch and time strides; the first stands in for those that are not there."""

    tensors: tuple[Tensor, ...]
    strides: tuple[int, ...]

    @staticmethod
    def of(tensors: Sequence[Tensor]) -> "Rows":
        """Their channels made contiguous, by a copy where they are not."""
        held = [readable(each) for each in tensors]
        padded = [each for each in (*held, *held[:1] * (3 - len(held))) if each is not None]
        return Rows(tuple(padded), tuple(stride for each in padded for stride in each.stride()[:2]))


class Flags(NamedTuple):
    """reset as bytes, or one zero; and its strides."""

    tensor: Tensor
    strides: tuple[int, int]

    @staticmethod
    def of(reset: Tensor | None, like: Tensor) -> "Flags":
        """Of (B, T) bool or None."""
        if reset is None:
            return Flags(like.new_zeros(1, dtype=torch.int8), (0, 0))
        return Flags(reset.view(torch.int8), (reset.stride(0), reset.stride(1)))


def carried(products: Tensor, local: Tensor, cuts: Tensor, before: Tensor) -> Tensor:
    """(B, segments, D): the state that enters each segment. A reset inside one is a reset of this scan of them."""
    entered, _ = diagonal_scan(LINEAR, (products, local), before, cuts[..., 0] > 0)
    return torch.cat([before.unsqueeze(1), entered[:, :-1]], dim=1)


def number(dtype: torch.dtype) -> Any:
    """Triton's name of float32 or float64."""
    return tl.float64 if dtype == torch.float64 else tl.float32


def on_device(tensor: Tensor) -> AbstractContextManager[Any]:
    """Launches go to the current GPU, which need not be the tensor's."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()
