"""What a piece does to a state, as a row of numbers that can be sent, and what several pieces do one after another."""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.ops.across_ranks.recurrence import Recurrence, Tensors


class Summary(NamedTuple):
    """Forget the state where `cut`, (B, 1); carry it on; add what the piece left from nothing."""

    carry: Tensors
    left: Tensors
    cut: Tensor


class Layout(NamedTuple):
    """How tensors (B, …) stand side by side in a row (B, K) of real numbers, in at least float32.

    likes  tensors of their shapes and dtypes

    >>> layout = Layout.of(torch.zeros(2, 3), torch.zeros(2, 1, 2, dtype=torch.complex64))
    >>> row = layout.pack((torch.ones(2, 3), None))
    >>> row.shape, [part.shape for part in layout.unpack(row)]
    (torch.Size([2, 7]), [torch.Size([2, 3]), torch.Size([2, 1, 2])])
    """

    likes: Tensors

    @classmethod
    def of(cls, *tensors: Tensor) -> "Layout":
        """The layout of tensors like these."""
        return cls(tuple(torch.zeros_like(each, dtype=accumulation_dtype(each.dtype)) for each in tensors))

    def pack(self, tensors: Sequence[Tensor | None]) -> Tensor:
        """The row of these tensors, zeros in place of None."""
        pairs = zip(tensors, self.likes, strict=True)
        return torch.cat([_as_row(like if each is None else each.to(like.dtype)) for each, like in pairs], 1)

    def unpack(self, row: Tensor) -> Tensors:
        """The tensors that stand in a row."""
        widths = [_as_row(like).shape[1] for like in self.likes]
        return tuple(_as_is(part, like) for part, like in zip(row.split(widths, 1), self.likes, strict=True))


def summary_layout(recurrence: Recurrence, inputs: Tensors) -> Layout:
    """How a summary stands in a row: how a state is carried on, what was left, and a last number for the cut."""
    state = recurrence.empty(inputs)
    return Layout.of(*recurrence.no_carry(inputs), *state, state[0].real.new_zeros(len(state[0]), 1))


def pack_summary(layout: Layout, summary: Summary) -> Tensor:
    """The row of a summary."""
    return layout.pack((*summary.carry, *summary.left, summary.cut))


def unpack_summaries(recurrence: Recurrence, inputs: Tensors, rows: Tensor) -> list[Summary]:
    """The summaries of rows (ranks, B, K)."""
    layout, carried = summary_layout(recurrence, inputs), len(recurrence.no_carry(inputs))
    split = [layout.unpack(row) for row in rows]
    return [Summary(parts[:carried], parts[carried:-1], parts[-1] > 0) for parts in split]


def states_after(
    recurrence: Recurrence, inputs: Tensors, summaries: Sequence[Summary], state: Tensors
) -> list[Tensors]:
    """`state`, then the state after each of the pieces; differentiable in `state`."""
    empty = recurrence.empty(inputs)
    states = [state]
    for carry, left, cut in summaries:
        # Chosen, not multiplied by zero: a NaN does not cross a reset.
        pairs = zip(empty, states[-1], strict=True)
        kept = tuple(torch.where(_beside(cut, each), none.to(each.dtype), each) for none, each in pairs)
        states.append(recurrence.compose(carry, left, kept))
    return states


def gradient_after(
    recurrence: Recurrence,
    inputs: Tensors,
    summaries: Sequence[Summary],
    state: Tensors,
    on_entering: Sequence[Tensors],
    on_final: Tensors,
) -> Tensors:
    """The gradient of a state, from those of the states that enter the pieces behind it, and of the last one.

    summaries, on_entering  of each of those pieces

    >>> from statewise.ops.across_ranks.diagonal import Linear
    >>> one, no, x = torch.ones(1, 1), torch.zeros(1, 1, dtype=torch.bool), torch.ones(1, 1, 1)
    >>> piece = Summary((0.5 * one,), (one,), no)
    >>> gradient_after(Linear(), (x, x), [piece, piece], (one,), [(one,), (one,)], (one,))[0].item()
    1.75
    """
    leaves = tuple(each.detach().requires_grad_() for each in state)
    with torch.enable_grad():
        states = states_after(recurrence, inputs, summaries, leaves)
    # What enters a piece is the state after the one before it.
    made, grads = chain.from_iterable(states), chain.from_iterable((*on_entering, on_final))
    return torch.autograd.grad(tuple(made), leaves, tuple(grads))


def zero_where(cut: Tensor, values: Tensor) -> Tensor:
    """The values (B, …), zero where `cut` (B, 1)."""
    return values.masked_fill(_beside(cut, values), 0)


def _beside(cut: Tensor, values: Tensor) -> Tensor:
    """`cut` (B, 1) with as many axes as the values (B, …)."""
    return cut.reshape(len(cut), *(1,) * (values.dim() - 1))


def _as_row(values: Tensor) -> Tensor:
    """(B, …), real or complex, as (B, k) real numbers."""
    numbers = torch.view_as_real(values.resolve_conj()) if values.is_complex() else values
    return numbers.flatten(1)


def _as_is(row: Tensor, like: Tensor) -> Tensor:
    """(B, k) real numbers in the shape and dtype of `like`."""
    if like.is_complex():
        return torch.view_as_complex(row.contiguous().reshape(*like.shape, 2))
    return row.reshape(like.shape)
