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
from statewise.mixers.causal_conv import causal_conv, causal_conv_step, initial_weight
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
        self.weight = initial_weight(taps, width)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(
        self, x: Tensor, state: ShortConvState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, ShortConvState]:
        """Outputs (B, T, D) and the last K−1 inputs; see `Mixer.forward`."""
        self.check_input(x, reset)
        window = self.initial_state(x.shape[0], dtype=x.dtype).window if state is None else state.window
        convolved, window = causal_conv(x, window, self.weight, self.bias, reset)
        return x + convolved, ShortConvState(window)

    def step(self, x: Tensor, state: ShortConvState) -> tuple[Tensor, ShortConvState]:
        """One token (B, D); see `Mixer.step`."""
        convolved, window = causal_conv_step(x, state.window, self.weight, self.bias)
        return x + convolved, ShortConvState(window)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> ShortConvState:
        """No inputs yet: zeros."""
        return ShortConvState(self.empty(batch_size, self.taps - 1, self.width, device=device, dtype=dtype))
