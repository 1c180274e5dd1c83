"""A short causal convolution: every channel sees its own last few values.

    y_t = x_t + Σ_{j=0}^{K−1} w_j ⊙ x_{t−j} + b,      nothing from before the sequence's first token

Gates that see the present token alone cannot tell `th` from `sh`; behind this layer they can. It is the Conv4 that
stands before the recurrence in the language models of Feng et al., arXiv 2410.01201, appendix C.2.

B batch, T time, D width, K taps.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.mixers.mixer import Mixer


class ShortConvState(NamedTuple):
    """window (B, K−1, D): the last inputs, oldest first, zero where there were none."""

    window: Tensor


class ShortConv(Mixer):
    """Causal depthwise convolution on a residual, (B, T, width) → (B, T, width). O(T·D·K) work, (K−1)·D of state.

    width  D
    taps   K, at least 1: how many tokens each output sees, its own included

    >>> y, state = ShortConv(8)(torch.zeros(2, 5, 8))
    >>> y.shape, state.window.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 3, 8]))
    """

    recurrent = True
    non_negative_decay = False

    def __init__(self, width: int, *, taps: int = 4) -> None:
        super().__init__(width)
        if taps < 1:
            raise UsageError(f"ShortConv: taps is {taps}; it must be at least 1")
        self.taps = taps
        # torch's own range for a depthwise convolution: fan-in K.
        self.weight = nn.Parameter(torch.empty(taps, width).uniform_(-1, 1) / taps**0.5)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(
        self, x: Tensor, state: ShortConvState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, ShortConvState]:
        """Outputs (B, T, D) and the last K−1 inputs; see `Mixer.forward`."""
        self.check_input(x, reset)
        length = x.shape[1]
        window = self.initial_state(x.shape[0], dtype=x.dtype).window if state is None else state.window
        past = torch.cat([window, x], 1)
        age = None if reset is None or not length else tokens_since_reset(reset)
        y = x + self.bias + self.weight[0] * x
        for j in range(1, self.taps):
            shifted = past[:, self.taps - 1 - j : self.taps - 1 - j + length]
            y = y + self.weight[j] * (shifted if age is None else shifted.masked_fill((age < j)[..., None], 0))
        last = past[:, length:]
        if age is not None:
            distance = torch.arange(self.taps - 2, -1, -1, device=x.device)
            last = last.masked_fill((distance > age[:, -1:])[..., None], 0)
        return y, ShortConvState(last)

    def step(self, x: Tensor, state: ShortConvState) -> tuple[Tensor, ShortConvState]:
        """One token (B, D); see `Mixer.step`."""
        y, state = self.forward(x[:, None], state)
        return y[:, 0], state

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> ShortConvState:
        """No inputs yet: zeros."""
        return ShortConvState(self.empty(batch_size, self.taps - 1, self.width, device=device, dtype=dtype))


def tokens_since_reset(reset: Tensor) -> Tensor:
    """How many tokens (B, T) lie between each and its sequence's first; very many before any reset.

    >>> tokens_since_reset(torch.tensor([[False, True, False, False]]))[0, 1:].tolist()
    [0, 1, 2]
    """
    places = torch.arange(reset.shape[1], device=reset.device)
    first = torch.where(reset, places, -reset.numel() - 2**20).cummax(1).values
    return places - first
