"""The pre-norm block: a mixer along time, then a feed-forward along channels, each on a residual.

x ← x + mixer(norm(x))        x ← x + feed_forward(norm(x))
"""

import torch
from torch import Tensor, nn

from statewise.mixers import Mixer
from statewise.mixers.mixer import State


class FeedForward(nn.Sequential):
    """Linear, GELU, linear: (…, width) → (…, width) through `multiple · width` channels."""

    def __init__(self, width: int, multiple: int) -> None:
        super().__init__(nn.Linear(width, multiple * width), nn.GELU(), nn.Linear(multiple * width, width))


class Block(nn.Module):
    """A mixer and a feed-forward with RMSNorm before each: (B, T, D) → (B, T, D).

    feed_forward  inner width of the feed-forward as a multiple of the width; 0 leaves it out
    """

    def __init__(self, mixer: Mixer, *, feed_forward: int) -> None:
        super().__init__()
        self.mixer = mixer
        self.mixer_norm = nn.RMSNorm(mixer.width, eps=1e-6)
        self.feed_forward: FeedForward | None = None
        if feed_forward:
            self.feed_forward_norm = nn.RMSNorm(mixer.width, eps=1e-6)
            self.feed_forward = FeedForward(mixer.width, feed_forward)

    def forward(self, x: Tensor, state: State | None = None, *, reset: Tensor | None = None) -> tuple[Tensor, State]:
        """Outputs (B, T, D) and the mixer's state after the last token."""
        y, state = self.mixer(self.mixer_norm(x), state, reset=reset)
        return self._feed(x + y), state

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One token (B, D)."""
        y, state = self.mixer.step(self.mixer_norm(x), state)
        return self._feed(x + y), state

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
