"""The pre-norm block: a mixer along time, then a feed-forward along channels, each on a residual.

x ← x + mixer(norm(x))        x ← x + feed_forward(norm(x))
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from statewise.mixers import Mixer, ShortConv
from statewise.mixers.mixer import State


class FeedForward(nn.Sequential):
    """Linear, GELU, linear: (…, width) → (…, width) through `multiple · width` channels."""

    def __init__(self, width: int, multiple: int) -> None:
        super().__init__(nn.Linear(width, multiple * width), nn.GELU(), nn.Linear(multiple * width, width))


class BlockState(NamedTuple):
    """The mixer's state, and the short convolution's, or () where there is none."""

    mixer: State
    conv: State


class Block(nn.Module):
    """A mixer and a feed-forward with RMSNorm before each: (B, T, D) → (B, T, D).

    feed_forward  inner width of the feed-forward as a multiple of the width; 0 leaves it out
    conv          taps of a short causal convolution between norm and mixer; 0 leaves it out
    """

    def __init__(self, mixer: Mixer, *, feed_forward: int, conv: int) -> None:
        super().__init__()
        self.mixer_norm = nn.RMSNorm(mixer.width, eps=1e-6)
        self.conv = ShortConv(mixer.width, taps=conv) if conv else None
        self.mixer = mixer
        self.feed_forward: FeedForward | None = None
        if feed_forward:
            self.feed_forward_norm = nn.RMSNorm(mixer.width, eps=1e-6)
            self.feed_forward = FeedForward(mixer.width, feed_forward)

    def forward(self, x: Tensor, state: BlockState, *, reset: Tensor | None = None) -> tuple[Tensor, BlockState]:
        """Outputs (B, T, D) and the state after the last token."""
        y, conv = self.mixer_norm(x), state.conv
        if self.conv is not None:
            y, conv = self.conv(y, conv, reset=reset)
        y, mixer = self.mixer(y, state.mixer, reset=reset)
        return self._feed(x + y), BlockState(mixer, conv)

    def step(self, x: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """One token (B, D)."""
        y, conv = self.mixer_norm(x), state.conv
        if self.conv is not None:
            y, conv = self.conv.step(y, conv)
        y, mixer = self.mixer.step(y, state.mixer)
        return self._feed(x + y), BlockState(mixer, conv)

    def initial_state(self, batch_size: int) -> BlockState:
        """The state before any token."""
        conv = () if self.conv is None else self.conv.initial_state(batch_size)
        return BlockState(self.mixer.initial_state(batch_size), conv)

    def _feed(self, x: Tensor) -> Tensor:
        return x if self.feed_forward is None else x + self.feed_forward(self.feed_forward_norm(x))


def scale_residual_outputs(blocks: nn.ModuleList) -> None:
    """Divide the last linear map of every residual branch by √(number of branches).

    Each branch then starts by adding 1/branches of the variance, so that the sum does not grow with depth
    (Radford et al. 2019, §2.3).
    """
    outputs = [
        module
        for name, module in blocks.named_modules()
        if isinstance(module, nn.Linear) and name.endswith(("mixer.output", "feed_forward.2"))
    ]
    with torch.no_grad():
        for layer in outputs:
            layer.weight /= len(outputs) ** 0.5
