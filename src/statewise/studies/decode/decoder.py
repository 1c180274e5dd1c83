"""What decodes greedily, whoever built it; and ours.

B batch, T time.
"""

from typing import Any, Protocol

import torch
from torch import Tensor

from statewise.core.random import child_seed, seeded
from statewise.core.state import map_state, state_bits
from statewise.mixers.kv_cache import KVCache
from statewise.models import LanguageModel, ModelConfig
from statewise.models.decoding import Decoder
from statewise.models.sampling import Sampling

GREEDY = Sampling(temperature=0)


class Decodes(Protocol):
    """A model with random weights that reads a context and goes on token by token; states may be its own objects."""

    @property
    def parameters(self) -> int:
        """How many it has."""

    def read(self, tokens: Tensor) -> tuple[Tensor, Any]:
        """The likeliest token (B,) after tokens (B, T), and the state after them."""

    def step(self, token: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The likeliest token (B,) after one more (B,), and the state after it. The state may be changed."""

    def generate(self, tokens: Tensor, length: int) -> Tensor:
        """So many tokens (B, length) after tokens (B, T), greedily, by the call that users of the library make."""

    def filled(self, batch: int, position: int) -> Any:
        """A state as large as after so many tokens, of zeros."""

    def repeated(self, state: Any, batch: int) -> Any:
        """The state of one sequence for each of a batch."""

    def back_at(self, state: Any, position: int) -> Any:
        """The state as it was at a position, after steps from there may have changed it."""

    def state_bytes(self, state: Any) -> int:
        """Bytes carried for one sequence."""


class OurDecoder:
    """A model of ours; see `Decodes`."""

    def __init__(self, config: ModelConfig) -> None:
        with seeded(child_seed(0, "weights")):
            self.model = LanguageModel(**vars(config)).eval()

    @property
    def parameters(self) -> int:
        """How many it has."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def read(self, tokens: Tensor) -> tuple[Tensor, Any]:
        """As `statewise generate` reads; see `Decodes`."""
        decoder = Decoder(self.model, sampling=GREEDY)
        decoder.read(tokens)
        token = next(decoder.write(1))
        return token, decoder.state

    def step(self, token: Tensor, state: Any) -> tuple[Tensor, Any]:
        """See `Decodes`."""
        logits, state = self.model.step(token, state)
        return logits.argmax(-1), state

    def generate(self, tokens: Tensor, length: int) -> Tensor:
        """See `Decodes`."""
        return torch.stack(list(self.model.generate(tokens, length, temperature=0)), 1)

    def filled(self, batch: int, position: int) -> Any:
        """See `Decodes`."""
        return grown(self.model.initial_state(batch), position)

    def repeated(self, state: Any, batch: int) -> Any:
        """See `Decodes`."""
        return map_state(lambda tensor: tensor.repeat_interleave(batch, 0), state)

    def back_at(self, state: Any, position: int) -> Any:
        """The state: ours are never changed."""
        return state

    def state_bytes(self, state: Any) -> int:
        """See `Decodes`."""
        return state_bits(state) // 8


def grown(state: Any, position: int) -> Any:
    """An initial state whose empty caches hold so many tokens of zeros."""
    if isinstance(state, KVCache) and not state.keys.shape[1]:
        batch, _, heads, size = state.keys.shape
        keys = state.keys.new_zeros(batch, position, heads, size)
        return KVCache(keys, torch.zeros_like(keys), state.start)
    if isinstance(state, Tensor):
        return state
    parts = [grown(part, position) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)


def state_bytes_at(config: ModelConfig, position: int) -> int:
    """Bytes that a model of ours carries for one sequence at a position; nothing is allocated for them.

    >>> config = ModelConfig(vocabulary=2, width=4, stack="mingru+attention", norm="none", feed_forward=0)
    >>> state_bytes_at(config, 10) - state_bytes_at(config, 0)
    320
    """
    with torch.device("meta"):
        decoder = OurDecoder(config)
        return decoder.state_bytes(decoder.filled(1, position))
