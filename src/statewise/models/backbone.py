"""What every model shares: an embedding of its tokens, a stack of blocks, a norm and a head.

B batch, T time, D width.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.mixers import Mixer
from statewise.mixers.first_value import FirstValue
from statewise.models.block import NORMS, Block, BlockState, scale_residual_outputs
from statewise.models.config import ModelConfig
from statewise.models.cross_attention import CrossAttention
from statewise.models.stack import build_mixer

EMBEDDING_STD = 0.02


class ModelState(NamedTuple):
    """What a model carries: the states of its blocks, and with learned positions the next place.

    blocks    a state for each block
    position  (B,) int64, or () where places are not counted
    """

    blocks: tuple[BlockState, ...]
    position: Tensor | tuple[()]


class Backbone(nn.Module):
    """Blocks between an embedding, given, and a head, which a subclass sets.

    Parallel over time in `forward`, constant work for each token in `step` (attention layers excepted, whose state
    grows).
    """

    head: nn.Module

    def __init__(
        self,
        config: ModelConfig,
        embedding: nn.Module,
        make_block: Callable[[ModelConfig, int], Block] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.embedding = embedding
        self.places = nn.Embedding(config.max_length, config.width) if config.max_length else None
        make_norm = partial(NORMS[config.norm], config.width, config.norm_epsilon)
        self.embedding_norm = make_norm() if config.embedding_norm else nn.Identity()
        self.blocks = nn.ModuleList((make_block or build_block)(config, layer) for layer in range(len(config.layers)))
        self.norm = make_norm()
        scale_residual_outputs(self.blocks)

    def forward(
        self, tokens: Tensor, state: ModelState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, ModelState]:
        """What the head says at every token (B, T, …), and the state after the last.

        tokens  (B, T, …), as the embedding takes them
        state   from an earlier call, to continue; None starts anew
        reset   (B, T) bool, true where a new sequence starts
        """
        x, after = self.read(tokens, state, reset=reset)
        return self.head(x), after

    def read(
        self,
        tokens: Tensor,
        state: ModelState | None = None,
        *,
        reset: Tensor | None = None,
        checkpoint: Callable[..., tuple[Tensor, BlockState]] | None = None,
    ) -> tuple[Tensor, ModelState]:
        """What `forward` gives to the head, (B, T, D), and the state after the last token.

        checkpoint  calls each block in place of a plain call, as torch.utils.checkpoint.checkpoint does: it takes a
                    function and its arguments
        """
        self._check_tokens(tokens, ("batch", "time"))
        # Each block makes its own first state, in the dtype that it computes in: under mixed precision another one.
        before = repeat(None) if state is None else state.blocks
        x = self.embedding(tokens)
        position = self._first_place(tokens.shape[0]) if state is None else state.position
        if self.places is not None:
            places, position = next_places(cast(Tensor, position), tokens.shape[1], reset)
            x = x + self.places(self._check_places(places))
        x, states, first_value = self.embedding_norm(x), [], FirstValue()
        for block, its_state in zip(self._each_block(), before, strict=state is not None):
            run = partial(block, reset=reset, first_value=first_value)
            x, after = run(x, its_state) if checkpoint is None else checkpoint(run, x, its_state)
            states.append(after)
        return self.norm(x), ModelState(tuple(states), position)

    def step(self, token: Tensor, state: ModelState) -> tuple[Tensor, ModelState]:
        """What the head says (B, …) after one more token (B, …), and the state after it."""
        x, after = self.read_one(token, state)
        return self.head(x), after

    def read_one(self, token: Tensor, state: ModelState) -> tuple[Tensor, ModelState]:
        """What `step` gives to the head, (B, D), and the state after the token."""
        self._check_tokens(token, ("batch",))
        x = self.embedding(token)
        position = state.position
        if self.places is not None:
            x = x + self.places(self._check_places(cast(Tensor, position)))
            position = cast(Tensor, position) + 1
        x, states, first_value = self.embedding_norm(x), [], FirstValue()
        for block, before in zip(self._each_block(), state.blocks, strict=True):
            x, after = block.step(x, before, first_value=first_value)
            states.append(after)
        return self.norm(x), ModelState(tuple(states), position)

    def initial_state(self, batch_size: int) -> ModelState:
        """The state before any token, where the parameters live."""
        blocks = tuple(block.initial_state(batch_size) for block in self._each_block())
        return ModelState(blocks, self._first_place(batch_size))

    def _first_place(self, batch_size: int) -> Tensor | tuple[()]:
        if self.places is None:
            return ()
        return torch.zeros(batch_size, dtype=torch.int64, device=self.places.weight.device)

    def _each_block(self) -> Iterator[Block]:
        return cast(Iterator[Block], iter(self.blocks))

    def _check_tokens(self, tokens: Tensor, axes: tuple[str, ...]) -> None:
        """Raise a UsageError unless the embedding takes such tokens; `axes` come before a token's own."""
        raise NotImplementedError

    def _check_places(self, places: Tensor) -> Tensor:
        most = cast(int, self.config.max_length)
        if places.numel() and int(places.max()) >= most:
            raise UsageError(
                f"{type(self).__name__}: token number {int(places.max()) + 1} has no learned position; max_length is "
                f"{most}. Build the model with a larger max_length, or with positions='rope' or 'none'."
            )
        return places


def build_block(
    config: ModelConfig, layer: int, *, mixer: Mixer | None = None, cross: CrossAttention | None = None
) -> Block:
    """The block at place `layer`, from 0.

    mixer  another one than the stack has there
    cross  what it reads an encoder's outputs with
    """
    layers = len(config.layers)
    if mixer is None:
        mixer = mixer_at(config, layer)
    return Block(
        mixer,
        feed_forward=config.feed_forward,
        feed_forward_units=config.feed_forward_units,
        conv=config.conv,
        norm=config.norm,
        norm_epsilon=config.norm_epsilon,
        feed_forward_kind=config.feed_forward_kind,
        dropout=config.dropout,
        layer=layer,
        layers=layers,
        cross=cross,
    )


def mixer_at(config: ModelConfig, layer: int) -> Mixer:
    """A new mixer as the stack has it at place `layer`."""
    return build_mixer(
        config.layers[layer],
        config.width,
        expansion=config.expansion,
        positions=config.positions,
        settings=config.mixer_settings,
        layer=layer,
        layers=len(config.layers),
    )


def next_places(position: Tensor, length: int, reset: Tensor | None) -> tuple[Tensor, Tensor]:
    """The places of the next `length` tokens (B, T) and of the one after (B,), counting from each reset."""
    steps = torch.arange(length, device=position.device)
    places = position[:, None] + steps
    if reset is not None and length:
        since = torch.where(reset, steps, -1).cummax(1).values
        places = torch.where(since >= 0, steps - since, places)
    return places, places[:, -1] + 1 if length else position
