"""Pieces of  h_t = a_t · h_{t-1} + b_t : the linear scan, the gated scans and the selective scan.

A piece takes h to A · h + h', where A is the product of its decays and h' what it leaves from zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.ops.across_ranks.recurrence import Piece, Recurrence, Tensors, WayBack
from statewise.ops.checks import require_scan
from statewise.ops.gated_scan import raw as gated
from statewise.ops.gated_scan.gates import NAMES, Gates
from statewise.ops.linear_scan import raw as linear
from statewise.ops.selective_scan import choose_form, require_selective_scan
from statewise.ops.selective_scan import raw as selective

BLOCK_NUMBERS = 2**18
"""About how many decays exist at a time where they are made of pre-activations: what a second-level cache holds."""

NO_LOOP = """selective_scan across ranks: kernel "reference" is a graph of single steps, which is not cut into pieces.
Pass kernel="chunked", which takes everything."""


class Diagonal(Recurrence):
    """What recurrences with one number for each channel, (B, D), have in common."""

    def empty(self, inputs: Tensors) -> Tensors:
        """See `Recurrence`."""
        return (_state_of_zeros(inputs[0]),)

    def no_carry(self, inputs: Tensors) -> Tensors:
        """See `Recurrence`."""
        return self.empty(inputs)

    def compose(self, carry: Tensors, left: Tensors, state: Tensors) -> Tensors:
        """See `Recurrence`."""
        return (carry[0] * state[0] + left[0],)


@dataclass(frozen=True)
class Linear(Diagonal):
    """The linear scan of decay and drive, real or complex."""

    kernel: str | None = None

    def describe(self) -> str:
        """See `Recurrence`."""
        return "linear_scan"

    def check(self, inputs: Tensors, initial: Tensors | None, reset: Tensor | None) -> None:
        """See `Recurrence`."""
        named = dict(zip(("decay", "drive"), inputs, strict=True))
        require_scan("linear_scan", named, _first(initial), reset, self.kernel)

    def carry(self, inputs: Tensors) -> Tensors:
        """See `Recurrence`."""
        return (torch.prod(inputs[0], 1, dtype=accumulation_dtype(inputs[0].dtype)),)

    def run(self, inputs: Tensors, state: Tensors, reset: Tensor | None) -> Piece:
        """See `Recurrence`."""
        states, final = linear.forward_op(*inputs, *state, reset, self.kernel)
        return Piece(states, (final,))

    def way_back(
        self, inputs: Tensors, state: Tensors, reset: Tensor | None, outputs: Tensor, kept: Tensors
    ) -> WayBack:
        """See `Recurrence`."""

        def back(on_outputs: Tensor | None, on_after: Tensors) -> tuple[Tensors, Tensors]:
            *grads, on_state = linear.backward_op(inputs[0], outputs, *state, reset, on_outputs, *on_after, self.kernel)
            return tuple(grads), (on_state,)

        return back


@dataclass(frozen=True)
class Gated(Diagonal):
    """The gated scans, of pre-activations."""

    gates: Gates
    kernel: str | None = None

    def describe(self) -> str:
        """See `Recurrence`."""
        return NAMES[self.gates]

    def check(self, inputs: Tensors, initial: Tensors | None, reset: Tensor | None) -> None:
        """See `Recurrence`."""
        named = dict(zip(self.gates.inputs, inputs, strict=True))
        require_scan(self.gates.kernel, named, _first(initial), reset, self.kernel, real=True)

    def carry(self, inputs: Tensors) -> Tensors:
        """See `Recurrence`."""
        product = torch.ones_like(*self.empty(inputs), dtype=accumulation_dtype(inputs[0].dtype))
        for block in _blocks(inputs):
            product *= self.gates.decay(*(each.to(product.dtype) for each in block)).prod(1)
        return (product,)

    def run(self, inputs: Tensors, state: Tensors, reset: Tensor | None) -> Piece:
        """See `Recurrence`."""
        states, final = gated.forward_op(NAMES[self.gates], list(inputs), *state, reset, self.kernel)
        return Piece(states, (final,))

    def way_back(
        self, inputs: Tensors, state: Tensors, reset: Tensor | None, outputs: Tensor, kept: Tensors
    ) -> WayBack:
        """See `Recurrence`."""

        def back(on_outputs: Tensor | None, on_after: Tensors) -> tuple[Tensors, Tensors]:
            arguments = (outputs, *state, reset, on_outputs, *on_after, self.kernel)
            packed, on_state = gated.backward_op(NAMES[self.gates], list(inputs), *arguments)
            return packed.chunk(len(inputs), -1), (on_state,)

        return back


@dataclass(frozen=True)
class Selective(Recurrence):
    """The selective scan of u, delta, A, B, C.

    The decays of a channel's states multiply to exp(A Σ_t δ_t): one number for each channel says it for all N states.
    """

    rates: Tensor
    kernel: str | None = None

    def describe(self) -> str:
        """See `Recurrence`."""
        return "selective_scan"

    def check(self, inputs: Tensors, initial: Tensors | None, reset: Tensor | None) -> None:
        """See `Recurrence`."""
        u, delta, A, B, C = inputs
        require_selective_scan(u, delta, A, B, C, _first(initial), reset)
        if choose_form(self.kernel, inputs[0]) == "reference":
            raise UsageError(NO_LOOP)

    def empty(self, inputs: Tensors) -> Tensors:
        """See `Recurrence`."""
        return (self.rates.new_zeros(len(inputs[0]), *self.rates.shape),)

    def carry(self, inputs: Tensors) -> Tensors:
        """See `Recurrence`."""
        return (inputs[1].sum(1),)

    def no_carry(self, inputs: Tensors) -> Tensors:
        """See `Recurrence`."""
        return (_state_of_zeros(inputs[1]),)

    def compose(self, carry: Tensors, left: Tensors, state: Tensors) -> Tensors:
        """See `Recurrence`."""
        return (torch.exp(carry[0].unsqueeze(-1) * self.rates.detach()) * state[0] + left[0],)

    def run(self, inputs: Tensors, state: Tensors, reset: Tensor | None) -> Piece:
        """See `Recurrence`."""
        outputs, final, entering = selective.forward_op(
            *_in_full(inputs), *state, reset, choose_form(self.kernel, inputs[0])
        )
        return Piece(outputs, (final,), (entering,))

    def way_back(
        self, inputs: Tensors, state: Tensors, reset: Tensor | None, outputs: Tensor, kept: Tensors
    ) -> WayBack:
        """See `Recurrence`."""

        def back(on_outputs: Tensor | None, on_after: Tensors) -> tuple[Tensors, Tensors]:
            on_outputs = torch.zeros_like(outputs) if on_outputs is None else on_outputs
            arguments = (*_in_full(inputs), *kept, reset, on_outputs, *on_after, choose_form(self.kernel, inputs[0]))
            on_u, on_delta, on_rates, on_B, on_C, on_state = selective.backward_op(*arguments)
            return (on_u, on_delta, on_rates.sum(0), on_B, on_C), (on_state,)

        return back


def _first(initial: Tensors | None) -> Tensor | None:
    """The only part of an initial state."""
    return None if initial is None else initial[0]


def _state_of_zeros(values: Tensor) -> Tensor:
    """Zeros (B, D) for values (B, T, D)."""
    return values.new_zeros(values.shape[0], values.shape[2])


def _blocks(inputs: Tensors) -> Iterator[Tensors]:
    """The inputs (B, T, D) cut along time into blocks of about BLOCK_NUMBERS numbers."""
    batch, _, channels = inputs[0].shape
    tokens = max(1, BLOCK_NUMBERS // max(1, batch * channels))
    return zip(*(each.split(tokens, 1) for each in inputs), strict=True)


def _in_full(inputs: Tensors) -> Tensors:
    """The inputs with A (E, N) repeated for every sequence."""
    u, delta, rates, B, C = inputs
    return u, delta, rates.expand(len(u), *rates.shape), B, C
