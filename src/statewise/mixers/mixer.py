"""What a mixer is: a layer that moves information along time, with a state.

B batch, T time, D width. Time is axis 1.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from statewise.core.errors import UsageError

State = Any
"""A NamedTuple of tensors, each with the batch as its first axis; nested tuples allowed."""


class Mixer(nn.Module, ABC):
    """A layer (B, T, D) → (B, T, D) in two forms that agree: parallel over time, and one token at a time.

    Subclasses are final and are built as `cls(width, **options)`.

    recurrent           the state has the same size at every length
    non_negative_decay  the state evolves as h ← a ⊙ h + b with a ≥ 0 and (a, b) a function of the input alone
    shares_value        `forward` and `step` take `first_value`, by which later layers see the first one's values
    """

    recurrent: ClassVar[bool]
    non_negative_decay: ClassVar[bool]
    shares_value: ClassVar[bool] = False

    def __init__(self, width: int) -> None:
        super().__init__()
        if width < 1:
            raise UsageError(f"{type(self).__name__}: width is {width}; it must be at least 1")
        self.width = width

    @abstractmethod
    def forward(self, x: Tensor, state: State | None = None, *, reset: Tensor | None = None) -> tuple[Tensor, State]:
        """Outputs (B, T, D) and the state after the last token.

        x      (B, T, D) floating point, T may be 0
        state  the state before the first token; None is the initial state
        reset  (B, T) bool, true where a new sequence starts: the state before that token is the initial one
        """

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One token: x (B, D) and the state before it give the output (B, D) and the state after it."""

    @abstractmethod
    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """The state before any token; device and dtype default to those of the parameters."""

    def empty(self, *shape: int, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Tensor:
        """Zeros where this mixer's parameters live."""
        home = next(self.parameters())
        return torch.zeros(shape, device=device or home.device, dtype=dtype or home.dtype)

    def check_input(self, x: Tensor, reset: Tensor | None) -> None:
        """Raise a UsageError unless x is (B, T, width) and reset is (B, T) bool or None."""
        name = type(self).__name__
        if x.ndim != 3 or x.shape[-1] != self.width:
            raise UsageError(
                f"{name}: x must be (batch, time, {self.width}).\n  x  {tuple(x.shape)}\n"
                "Time is axis 1. If x is channels-first, pass x.transpose(1, 2)."
            )
        if reset is not None and (reset.shape != x.shape[:2] or reset.dtype != torch.bool):
            raise UsageError(
                f"{name}: reset must be bool of shape (batch, time).\n  x      {tuple(x.shape)}\n"
                f"  reset  {tuple(reset.shape)} {reset.dtype}"
            )
