"""The gates of minGRU and minLSTM: decay and drive from pre-activations, and the gradients on the way back.

Written in plain PyTorch, for any leading axes and any floating dtype: the definition that kernels are held to,
and what one step of decoding runs.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from statewise.core.errors import UsageError

ACTIVATIONS = ("g", "tanh", "identity")


@dataclass(frozen=True)
class Gates(ABC):
    """One variant of a recurrence.

    kernel      the C++ kernel and the front door that run it
    inputs      names of its pre-activations, in order
    activation  of the candidate, one of ACTIVATIONS
    """

    kernel: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    activation: str = "g"

    @property
    def option(self) -> int:
        """The number by which the C++ kernel knows the variant."""
        return ACTIVATIONS.index(self.activation)

    @abstractmethod
    def decay(self, *inputs: Tensor) -> Tensor:
        """a_t alone."""

    @abstractmethod
    def decay_and_drive(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """a_t and b_t of h_t = a_t h_{t−1} + b_t, from the pre-activations."""

    @abstractmethod
    def gradients(self, *inputs: Tensor, on_decay: Tensor, on_drive: Tensor) -> tuple[Tensor, ...]:
        """The pre-activations' gradients from those of decay and drive."""


@dataclass(frozen=True)
class MinGru(Gates):
    """a = 1 − z, b = z c with z = σ(k), c = g(u).

    >>> MinGru("identity").decay_and_drive(torch.zeros(1), torch.ones(1))
    (tensor([0.5000]), tensor([0.5000]))
    """

    kernel: ClassVar[str] = "min_gru_scan"
    inputs: ClassVar[tuple[str, ...]] = ("gate", "candidate")

    def decay(self, *inputs: Tensor) -> Tensor:
        """See `Gates`."""
        # σ(−k) rather than 1 − σ(k): exact where the gate saturates.
        return torch.sigmoid(-inputs[0])

    def decay_and_drive(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """See `Gates`."""
        gate, candidate = inputs
        return self.decay(gate), torch.sigmoid(gate) * activate(candidate, self.activation)

    def gradients(self, *inputs: Tensor, on_decay: Tensor, on_drive: Tensor) -> tuple[Tensor, ...]:
        """See `Gates`."""
        gate, candidate = inputs
        open_, shut = torch.sigmoid(gate), torch.sigmoid(-gate)
        on_open = on_drive * activate(candidate, self.activation) - on_decay
        return on_open * (open_ * shut), on_drive * open_ * slope(candidate, self.activation)


@dataclass(frozen=True)
class MinLstm(Gates):
    """a = σ(p), b = σ(q) g(u); normalised a = σ(p) / (σ(p) + σ(q)), b = (1 − a) g(u).

    >>> MinLstm("identity", normalise=True).decay_and_drive(torch.zeros(1), torch.zeros(1), torch.ones(1))
    (tensor([0.5000]), tensor([0.5000]))
    """

    kernel: ClassVar[str] = "min_lstm_scan"
    inputs: ClassVar[tuple[str, ...]] = ("forget", "input", "candidate")
    normalise: bool = True

    @property
    def option(self) -> int:
        """See `Gates`."""
        return super().option + len(ACTIVATIONS) * self.normalise

    def decay(self, *inputs: Tensor) -> Tensor:
        """See `Gates`."""
        return self._shares(*inputs[:2])[0]

    def decay_and_drive(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """See `Gates`."""
        forget, write, candidate = inputs
        keep, take = self._shares(forget, write)
        return keep, take * activate(candidate, self.activation)

    def gradients(self, *inputs: Tensor, on_decay: Tensor, on_drive: Tensor) -> tuple[Tensor, ...]:
        """See `Gates`."""
        forget, write, candidate = inputs
        keep, take = self._shares(forget, write)
        content = activate(candidate, self.activation)
        on_candidate = on_drive * take * slope(candidate, self.activation)
        if not self.normalise:
            on_forget = on_decay * keep * torch.sigmoid(-forget)
            return on_forget, on_drive * content * take * torch.sigmoid(-write), on_candidate
        on_odds = (on_decay - on_drive * content) * (keep * take)
        return on_odds * torch.sigmoid(-forget), -on_odds * torch.sigmoid(-write), on_candidate

    def _shares(self, forget: Tensor, write: Tensor) -> tuple[Tensor, Tensor]:
        if not self.normalise:
            return torch.sigmoid(forget), torch.sigmoid(write)
        # f/(f+i) = σ(log f − log i): no quotient that can be 0/0.
        odds = F.logsigmoid(forget) - F.logsigmoid(write)
        return torch.sigmoid(odds), torch.sigmoid(-odds)


GATES: dict[str, Gates] = {
    **{f"min_gru {name}": MinGru(name) for name in ACTIVATIONS},
    **{f"min_lstm {name}": MinLstm(name, normalise=False) for name in ACTIVATIONS},
    **{f"min_lstm normalised {name}": MinLstm(name, normalise=True) for name in ACTIVATIONS},
}
"""Every variant by the name under which the operators take it."""

NAMES = {gates: name for name, gates in GATES.items()}


def require_activation(where: str, name: str) -> str:
    """`name`, or a UsageError that starts with `where` unless it is one of ACTIVATIONS.

    >>> require_activation("MinGRU", "tanh")
    'tanh'
    """
    if name not in ACTIVATIONS:
        raise UsageError(f"{where}: activation is {name!r}; it must be one of {', '.join(ACTIVATIONS)}")
    return name


def activate(candidate: Tensor, activation: str) -> Tensor:
    """g(u) = u + 1/2 for u ≥ 0 and σ(u) below (positive, continuous); tanh(u); or u.

    Source of g: Feng et al., arXiv 2410.01201, appendix B.

    >>> activate(torch.tensor([0.0, 1.0]), "g").tolist()
    [0.5, 1.5]
    """
    match activation:
        case "g":
            # The two meet at 0, where σ rises by 1/4: below 0 it is the larger one, above the smaller.
            return torch.maximum(candidate + 0.5, torch.sigmoid(candidate))
        case "tanh":
            return torch.tanh(candidate)
        case _:
            return candidate


def slope(candidate: Tensor, activation: str) -> Tensor:
    """The derivative of `activate`; at 0, that of g from above, 1.

    >>> slope(torch.tensor([0.0, 1.0]), "g").tolist()
    [1.0, 1.0]
    """
    match activation:
        case "g":
            below = torch.sigmoid(candidate)
            return torch.where(candidate < 0, below * (1 - below), torch.ones_like(candidate))
        case "tanh":
            return 1 - torch.tanh(candidate) ** 2
        case _:
            return torch.ones_like(candidate)
