"""Layers of encoders, which see a whole sequence: two recurrences that meet, or attention without a mask over time.

Sequences lie on the right, padding on their left; `reset` (B, T) bool is true at the first real token of each, as
`statewise.core.padding.left_padding_reset` makes it. B batch, T time, D width.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.mixers import Attention, Mixer
from statewise.mixers.first_value import FirstValue
from statewise.mixers.mixer import State


class BothStates(NamedTuple):
    """ahead, after the last token; back, after the first: each a state of its mixer."""

    ahead: State
    back: State


class WholeSequence(Mixer):
    """A layer whose output at a token depends on those after it: it has no `step`."""

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Raise: what comes later is needed first."""
        raise UsageError(f"{type(self).__name__}: it reads a whole sequence at once, and has no step")


class Bidirectional(WholeSequence):
    """Two mixers, one from each end, and the sum of what they say: (B, T, width) → (B, T, width).

    Any mixers, of the same width. At real tokens, outputs and states are those of the sequence without padding.

    >>> from statewise.mixers import MinGRU
    >>> y, state = Bidirectional(MinGRU(8), MinGRU(8))(torch.zeros(2, 5, 8))
    >>> y.shape, state.back.hidden.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    recurrent = True
    non_negative_decay = False

    def __init__(self, ahead: Mixer, back: Mixer) -> None:
        super().__init__(ahead.width)
        self.ahead, self.back = ahead, back
        vars(self)["recurrent"] = ahead.recurrent and back.recurrent
        vars(self)["shares_value"] = ahead.shares_value

    def forward(
        self,
        x: Tensor,
        state: BothStates | None = None,
        *,
        reset: Tensor | None = None,
        first_value: FirstValue | None = None,
    ) -> tuple[Tensor, BothStates]:
        """Outputs (B, T, D) and both final states; `state` must be None, since nothing comes before a whole sequence.

        `first_value` goes to mixers that share it.
        """
        if state is not None:
            raise UsageError("Bidirectional: a state is given; it reads a whole sequence, before which there is none")
        forth, opposite = {}, {}
        if self.shares_value and first_value is not None:
            forth, opposite = {"first_value": first_value}, {"first_value": first_value.backwards()}
        y, ahead = self.ahead(x, reset=reset, **forth)
        z, back = self.back(reversed_tokens(x, reset), reset=reset, **opposite)
        return y + reversed_tokens(z, reset), BothStates(ahead, back)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> BothStates:
        """The states of both before any token."""
        halves = (half.initial_state(batch_size, device=device, dtype=dtype) for half in (self.ahead, self.back))
        return BothStates(*halves)


class FullAttention(WholeSequence):
    """Softmax attention in which each token sees all: (B, T, width) → (B, T, width). No state.

    attention  whose maps, head size and positions are used

    >>> FullAttention(Attention(8))(torch.zeros(2, 5, 8))[0].shape
    torch.Size([2, 5, 8])
    """

    recurrent = False
    non_negative_decay = False

    def __init__(self, attention: Attention) -> None:
        super().__init__(attention.width)
        self.positions, self.head_size = attention.positions, attention.head_size
        self.project, self.turned, self.for_each_query = attention.project, attention.turned, attention.for_each_query
        self.query_key_value, self.output = attention.query_key_value, attention.output

    def forward(
        self, x: Tensor, state: tuple[()] | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, tuple[()]]:
        """Outputs (B, T, D), and () in place of a state."""
        self.check_input(x, reset)
        query, keys, values = self.project(x)
        if self.positions == "rope":
            places = torch.arange(x.shape[1], device=x.device)
            query, keys = self.turned(query, places), self.turned(keys, places)
        keys, values = self.for_each_query(keys), self.for_each_query(values)
        mask = None if reset is None else real_tokens(reset)[:, None, None, :]
        y = F.scaled_dot_product_attention(
            query.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), attn_mask=mask
        )
        return self.output(y.transpose(1, 2).flatten(2)), ()

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> tuple[()]:
        """Nothing is carried."""
        return ()


def real_tokens(reset: Tensor) -> Tensor:
    """Which tokens are not padding, (B, T) bool: all from the reset on.

    >>> real_tokens(torch.tensor([[False, True, False]])).int().tolist()
    [[0, 1, 1]]
    """
    return reset.cummax(1).values


def reversed_tokens(x: Tensor, reset: Tensor | None) -> Tensor:
    """x (B, T, D) with the real tokens of every row in the opposite order, padding where it was.

    >>> x = torch.tensor([[7.0, 1.0, 2.0]])[..., None]
    >>> reversed_tokens(x, torch.tensor([[False, True, False]])).flatten().tolist()
    [7.0, 2.0, 1.0]
    """
    length = x.shape[1]
    if reset is None or not length or bool(reset[:, 0].all()):
        return x.flip(1)
    places = torch.arange(length, device=x.device)
    first = reset.int().argmax(1, keepdim=True)
    index = torch.where(places >= first, length - 1 + first - places, places)
    return x.gather(1, index[..., None].expand_as(x))
