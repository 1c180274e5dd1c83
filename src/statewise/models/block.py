"""The pre-norm block: a mixer along time, then a feed-forward along channels, each on a residual.

x ← x + mixer(norm(x))        x ← x + feed_forward(norm(x))

A decoder's block that reads an encoder's outputs has x ← x + cross(norm(x), memory) between the two.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from statewise.core.errors import pick
from statewise.mixers import Mixer, ShortConv
from statewise.mixers.first_value import FirstValue
from statewise.mixers.mixer import State
from statewise.models.cross_attention import CrossAttention, Memory
from statewise.models.feed_forward import build_feed_forward
from statewise.models.norm import RMSNorm

NORMS: dict[str, Callable[[int, float | None], nn.Module]] = {
    "rms": lambda width, epsilon: RMSNorm(width, eps=1e-6 if epsilon is None else epsilon),
    "layer": lambda width, epsilon: nn.LayerNorm(width, eps=1e-5 if epsilon is None else epsilon),
    "none": lambda width, epsilon: nn.Identity(),
}
"""Called with the width, and what is added to the variance or None for the norm's own."""

BRANCH_ENDS = ("mixer.output", "feed_forward.2", "feed_forward.output", "cross.output", "ahead.output", "back.output")
"""What the names of the last linear maps of residual branches end with; the last two are those of two directions."""


class BlockState(NamedTuple):
    """The states of the mixer, of the short convolution and of the feed-forward; () where one has none.

    memory  what an encoder wrote, the same at every step; () where there is none
    """

    mixer: State
    conv: State
    feed_forward: State = ()
    memory: Memory | tuple[()] = ()


class Block(nn.Module):
    """A mixer and a feed-forward with a norm before each: (B, T, D) → (B, T, D).

    feed_forward        inner width of the feed-forward as a multiple of the width; 0 leaves it out
    feed_forward_units  that inner width itself, in place of the multiple
    conv                taps of a short causal convolution between norm and mixer; 0 leaves it out
    norm                rms, layer (mean and variance, with a bias) or none
    norm_epsilon        what the norms add to the variance; None is each one's own, 1e-6 of rms and 1e-5 of layer
    feed_forward_kind   one of `FEED_FORWARDS`
    dropout             share of what the mixer and the feed-forward add to the residual that is dropped in training
    layer, layers       the block's place in its stack, from 0, for feed-forwards whose initial values depend on it
    cross               reads the memory in the block's state, between mixer and feed-forward
    """

    def __init__(
        self,
        mixer: Mixer,
        *,
        feed_forward: int,
        conv: int,
        feed_forward_units: int | None = None,
        norm: str = "rms",
        norm_epsilon: float | None = None,
        feed_forward_kind: str = "gelu",
        dropout: float = 0.0,
        layer: int = 0,
        layers: int = 1,
        cross: CrossAttention | None = None,
    ) -> None:
        super().__init__()
        make_norm = pick("norm", norm, NORMS)
        self.mixer_norm = make_norm(mixer.width, norm_epsilon)
        self.conv = ShortConv(mixer.width, taps=conv) if conv else None
        self.mixer = mixer
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.cross = cross
        if cross is not None:
            self.cross_norm = make_norm(mixer.width, norm_epsilon)
        self.feed_forward: nn.Module | None = None
        if feed_forward:
            self.feed_forward_norm = make_norm(mixer.width, norm_epsilon)
            self.feed_forward = build_feed_forward(
                feed_forward_kind, mixer.width, feed_forward, units=feed_forward_units, layer=layer, layers=layers
            )

    def forward(
        self,
        x: Tensor,
        state: BlockState | None = None,
        *,
        reset: Tensor | None = None,
        first_value: FirstValue | None = None,
    ) -> tuple[Tensor, BlockState]:
        """Outputs (B, T, D) and the state after the last token; None is the state before any.

        `first_value` goes to mixers that share it.
        """
        before = BlockState(None, None, None) if state is None else state
        y, conv, feed_forward = self.mixer_norm(x), (), ()
        if self.conv is not None:
            y, conv = self.conv(y, before.conv, reset=reset)
        y, mixer = self.mixer(y, before.mixer, reset=reset, **self._shared(first_value))
        x = self._read(x + self.dropout(y), before.memory)
        if self.feed_forward is not None:
            y = self.feed_forward_norm(x)
            if isinstance(self.feed_forward, Mixer):
                y, feed_forward = self.feed_forward(y, before.feed_forward, reset=reset)
            else:
                y = self.feed_forward(y)
            x = x + self.dropout(y)
        return x, BlockState(mixer, conv, feed_forward, before.memory)

    def step(self, x: Tensor, state: BlockState, *, first_value: FirstValue | None = None) -> tuple[Tensor, BlockState]:
        """One token (B, D)."""
        y, conv, feed_forward = self.mixer_norm(x), state.conv, state.feed_forward
        if self.conv is not None:
            y, conv = self.conv.step(y, conv)
        y, mixer = self.mixer.step(y, state.mixer, **self._shared(first_value))
        x = self._read(x + self.dropout(y), state.memory)
        if self.feed_forward is not None:
            y = self.feed_forward_norm(x)
            if isinstance(self.feed_forward, Mixer):
                y, feed_forward = self.feed_forward.step(y, feed_forward)
            else:
                y = self.feed_forward(y)
            x = x + self.dropout(y)
        return x, BlockState(mixer, conv, feed_forward, state.memory)

    def initial_state(self, batch_size: int) -> BlockState:
        """The state before any token."""
        parts = (
            part.initial_state(batch_size) if isinstance(part, Mixer) else ()
            for part in (self.mixer, self.conv, self.feed_forward)
        )
        return BlockState(*parts)

    def _read(self, x: Tensor, memory: Memory | tuple[()]) -> Tensor:
        """x (B, …, D) with what is read from the memory added."""
        if self.cross is None:
            return x
        assert isinstance(memory, Memory), "a block that reads a memory is given one with its state"
        read: Tensor = self.dropout(self.cross(self.cross_norm(x), memory))
        return x + read

    def _shared(self, first_value: FirstValue | None) -> dict[str, Any]:
        """What the mixer takes besides its input."""
        return {"first_value": first_value} if self.mixer.shares_value else {}


def scale_residual_outputs(blocks: nn.ModuleList) -> None:
    """Divide the last linear map of every residual branch by √(number of branches).

    Each branch then starts by adding 1/branches of the variance, so that the sum does not grow with depth
    (Radford et al. 2019, §2.3).
    """
    outputs = [
        module
        for name, module in blocks.named_modules()
        if isinstance(module, nn.Linear) and name.endswith(BRANCH_ENDS)
    ]
    with torch.no_grad():
        for layer in outputs:
            layer.weight /= len(outputs) ** 0.5
