"""What a recurrence must be able to do for its sequence to be cut into pieces.

A piece maps the state that enters it to the state after it. For the recurrences here that map has few numbers, the
*summary*: what the piece leaves when nothing enters, and how it carries on what does.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

Tensors = tuple[Tensor, ...]

WayBack = Callable[[Tensor | None, Tensors], tuple[Tensors, Tensors]]
"""(gradient of the outputs or None, gradients of the state after) → (gradients of inputs, of the state that enters)."""


class Piece(NamedTuple):
    """A piece that was scanned: its outputs, the state after it, and what else the way back reads."""

    outputs: Tensor
    after: Tensors
    kept: Tensors = ()


class Recurrence(ABC):
    """One recurrence with its options. The batch is axis 0 of every part of a state and of a summary."""

    @abstractmethod
    def describe(self) -> str:
        """The recurrence and the options on which all ranks must agree."""

    @abstractmethod
    def check(self, inputs: Tensors, initial: Tensors | None, reset: Tensor | None) -> None:
        """Raise a UsageError unless the arguments fit together."""

    @abstractmethod
    def empty(self, inputs: Tensors) -> Tensors:
        """The state before any token."""

    @abstractmethod
    def carry(self, inputs: Tensors) -> Tensors:
        """How the piece carries on a state, resets aside, in at least float32."""

    @abstractmethod
    def no_carry(self, inputs: Tensors) -> Tensors:
        """Zeros in the shape of `carry`."""

    @abstractmethod
    def compose(self, carry: Tensors, left: Tensors, state: Tensors) -> Tensors:
        """The state after a piece that leaves `left` from nothing and that `state` enters; differentiable."""

    @abstractmethod
    def run(self, inputs: Tensors, state: Tensors, reset: Tensor | None) -> Piece:
        """Scan a piece, without a graph."""

    @abstractmethod
    def way_back(
        self, inputs: Tensors, state: Tensors, reset: Tensor | None, outputs: Tensor, kept: Tensors
    ) -> WayBack:
        """The gradients of a piece that was scanned, as a function that may be called again."""
