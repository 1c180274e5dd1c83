"""How the sequences of a batch lie in memory, and how one scan runs over them in either direction.

B batch, T time, N tokens of all sequences together, P pre-activations of a token, H hidden size.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Scan = Callable[[Tensor, Tensor | None, Tensor | None], tuple[Tensor, Tensor]]
"""States (B, T, H) and the last ones (B, H) from pre-activations (B, T, P), initial (B, H) and reset (B, T)."""


class Sequences(ABC):
    """A batch of sequences whose tokens are the leading axes of every tensor that belongs to it."""

    @abstractmethod
    def run(self, scan: Scan, projected: Tensor, initial: Tensor | None, *, reverse: bool) -> tuple[Tensor, Tensor]:
        """States (…, H) in place of pre-activations (…, P), and the state (B, H) after each sequence's last token.

        reverse  from each sequence's own end to its beginning
        """


class EqualSequences(Sequences):
    """(B, T, ·): all of one length."""

    def run(self, scan: Scan, projected: Tensor, initial: Tensor | None, *, reverse: bool) -> tuple[Tensor, Tensor]:
        """See `Sequences`."""
        if not reverse:
            return scan(projected, initial, None)
        states, final = scan(projected.flip(1), initial, None)
        return states.flip(1), final


class PackedSequences(Sequences):
    """(N, ·): of any lengths, as the data of a `torch.nn.utils.rnn.PackedSequence`.

    All sequences run one after another as a single row with a reset at each start, which computes no padding. A row
    has one initial state, so where initial states are given every sequence has a row of its own, padded.
    """

    def __init__(self, batch_sizes: Tensor, device: torch.device) -> None:
        present = torch.arange(int(batch_sizes[0])) < batch_sizes[:, None]
        self.times, self.owners = (each.to(device) for each in present.nonzero(as_tuple=True))
        self.lengths = present.sum(0).to(device)
        self.longest = len(batch_sizes)
        self._layouts: dict[tuple[bool, bool], Layout] = {}

    def run(self, scan: Scan, projected: Tensor, initial: Tensor | None, *, reverse: bool) -> tuple[Tensor, Tensor]:
        """See `Sequences`."""
        layout = self._layout(padded=initial is not None, reverse=reverse)
        rows = projected.index_select(0, layout.take).unflatten(0, layout.shape)
        states = scan(rows, initial, layout.reset)[0].flatten(0, 1)
        return states.index_select(0, layout.places), states.index_select(0, layout.ends)

    def _layout(self, *, padded: bool, reverse: bool) -> "Layout":
        """Made once for all layers."""
        if (padded, reverse) not in self._layouts:
            self._layouts[padded, reverse] = self._padded(reverse) if padded else self._one_row(reverse)
        return self._layouts[padded, reverse]

    def _one_row(self, reverse: bool) -> "Layout":
        tokens = len(self.owners)
        begins = self.lengths.cumsum(0) - self.lengths
        places = self._places(begins, reverse)
        take = torch.empty_like(places).scatter_(0, places, torch.arange(tokens, device=places.device))
        reset = torch.zeros(1, tokens, dtype=torch.bool, device=places.device).index_fill_(1, begins, True)
        return Layout(take, places, begins + self.lengths - 1, (1, tokens), reset)

    def _padded(self, reverse: bool) -> "Layout":
        count = len(self.lengths)
        sequences = torch.arange(count, device=self.lengths.device)
        begins = sequences * self.longest
        places = self._places(begins, reverse)
        # A sequence's first token is the row of its number, and pads it: rows stay independent of each other.
        take = sequences.repeat_interleave(self.longest)
        take.scatter_(0, places, torch.arange(len(places), device=places.device))
        return Layout(take, places, begins + self.lengths - 1, (count, self.longest), None)

    def _places(self, begins: Tensor, reverse: bool) -> Tensor:
        """Where each token goes, its sequence beginning at `begins`."""
        times = self.lengths[self.owners] - 1 - self.times if reverse else self.times
        return begins[self.owners] + times


class Layout(NamedTuple):
    """Packed tokens as rows for a scan.

    take    (rows · steps,) which token is at each place
    places  (N,) the place of each token
    ends    (B,) the place of each sequence's last
    shape   rows, steps
    reset   (rows, steps) bool, or None where each row is one sequence
    """

    take: Tensor
    places: Tensor
    ends: Tensor
    shape: tuple[int, int]
    reset: Tensor | None
