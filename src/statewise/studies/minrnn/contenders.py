"""What is timed: layers by name, each built at a width and called as x (B, T, D) → outputs (B, T, D).

GRU and LSTM stand twice: as a loop over time in Python, which is the paper's baseline, and as torch's own kernels.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from statewise.core.errors import pick
from statewise.mixers import GRU, LSTM, Attention, Mamba, MinGRU, MinLSTM, Mixer

Layer = Callable[[Tensor], Tensor]

LOOPED_GRU, LOOPED_LSTM = "GRU as a loop", "LSTM as a loop"
MIN_GRU, MIN_LSTM = "minGRU", "minLSTM"
OWN_GRU, OWN_LSTM = "GRU of torch", "LSTM of torch"


class LoopedGRU(nn.Module):
    """A GRU whose steps are taken one by one in Python, (B, T, width) → (B, T, width).

    >>> LoopedGRU(4)(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs at every token, from h_0 = 0."""
        hidden = x.new_zeros(x.shape[0], x.shape[2])
        outputs: list[Tensor] = []
        for token in x.unbind(1):
            hidden = self.cell(token, hidden)
            outputs.append(hidden)
        return torch.stack(outputs, 1)


class LoopedLSTM(nn.Module):
    """An LSTM whose steps are taken one by one in Python, (B, T, width) → (B, T, width).

    >>> LoopedLSTM(4)(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs at every token, from h_0 = 0 and c_0 = 0."""
        hidden = memory = x.new_zeros(x.shape[0], x.shape[2])
        outputs: list[Tensor] = []
        for token in x.unbind(1):
            hidden, memory = self.cell(token, (hidden, memory))
            outputs.append(hidden)
        return torch.stack(outputs, 1)


MIXERS: dict[str, Callable[[int], Mixer]] = {
    MIN_GRU: MinGRU,
    MIN_LSTM: MinLSTM,
    "Mamba": Mamba,
    "attention": Attention,
    OWN_GRU: GRU,
    OWN_LSTM: LSTM,
}
"""Each with its default settings: expansion 1 of the minimal ones, 2 of Mamba."""

LOOPS: dict[str, Callable[[int], nn.Module]] = {LOOPED_GRU: LoopedGRU, LOOPED_LSTM: LoopedLSTM}

CONTENDERS = (*MIXERS, *LOOPS)


def build(name: str, width: int) -> Layer:
    """The layer called `name`; its outputs alone."""
    if name in LOOPS:
        return LOOPS[name](width)
    mixer = pick("layer", name, MIXERS)(width)
    return lambda x: mixer(x)[0]
