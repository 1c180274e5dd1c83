"""The language model: an embedding, a stack of blocks and a head over a vocabulary.

B batch, T time, D width, V vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.errors import UsageError, pick
from statewise.mixers.first_value import FirstValue
from statewise.models.block import NORMS, Block, BlockState, scale_residual_outputs
from statewise.models.feed_forward import FEED_FORWARDS
from statewise.models.stack import build_mixer, parse_stack

POSITIONS = ("none", "learned", "rope")
EMBEDDING_STD = 0.02


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that a LanguageModel is built from.

    vocabulary    number of token ids
    width         channels between blocks
    stack         mixers, bottom first: `mingru`, `mingru*2`, `mingru+attention`
    depth         how many times the stack is repeated
    positions     none; learned (a vector for each place, added to the embedding); or rope (in attention layers)
    max_length    places that learned positions have; needed for them, and only for them
    expansion     inner width of mixers that have one, as a multiple of the width; None is each mixer's own default
    feed_forward  inner width of the feed-forward, as a multiple of the width; 0 leaves it out
    conv          taps of a short causal convolution before each mixer; 0 leaves it out
    norm          of the blocks and before the head: rms, layer (mean and variance, with a bias) or none
    embedding_norm     whether the embedding passes such a norm before the first block
    feed_forward_kind  gelu, geglu (gated by a GELU), rwkv4 or rwkv7 (these see the token before and carry it)
    """

    vocabulary: int
    width: int = 64
    stack: str = "mingru"
    depth: int = 1
    positions: str = "none"
    max_length: int | None = None
    expansion: int | None = None
    feed_forward: int = 4
    conv: int = 0
    norm: str = "rms"
    embedding_norm: bool = False
    feed_forward_kind: str = "gelu"

    def __post_init__(self) -> None:
        leasts = {"vocabulary": 1, "width": 1, "depth": 1, "expansion": 1, "feed_forward": 0, "conv": 0}
        for name, least in leasts.items():
            if (number := getattr(self, name)) is not None and number < least:
                raise UsageError(f"model: {name} is {number}; it must be at least {least}")
        parse_stack(self.stack)
        pick("norm", self.norm, NORMS)
        pick("feed-forward", self.feed_forward_kind, FEED_FORWARDS)
        if self.positions not in POSITIONS:
            raise UsageError(f"model: positions is {self.positions!r}; it must be one of {', '.join(POSITIONS)}")
        if (self.positions == "learned") != (self.max_length is not None):
            raise UsageError(
                f"model: positions is {self.positions!r} and max_length is {self.max_length}; learned positions "
                "need a max_length, and nothing else takes one"
            )

    @property
    def layers(self) -> tuple[str, ...]:
        """The mixer of every block, bottom first."""
        return parse_stack(self.stack) * self.depth


class ModelState(NamedTuple):
    """What a model carries: the states of its blocks, and with learned positions the next place.

    blocks    a state for each block
    position  (B,) int64, or () where places are not counted
    """

    blocks: tuple[BlockState, ...]
    position: Tensor | tuple[()]


class LanguageModel(nn.Module):
    """A stack of blocks over a vocabulary: tokens (B, T) int64 → logits (B, T, V) and a state.

    Takes the fields of `ModelConfig` by name. Parallel over time in `forward`, constant work for each token in `step`
    (attention layers excepted, whose state grows).

    >>> model = LanguageModel(vocabulary=256, width=32, stack="mingru*2")
    >>> logits, state = model(torch.zeros(2, 5, dtype=torch.int64))
    >>> logits.shape
    torch.Size([2, 5, 256])
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.config = config = ModelConfig(**settings)
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.places = nn.Embedding(config.max_length, config.width) if config.max_length else None
        mixers = (
            build_mixer(
                name,
                config.width,
                expansion=config.expansion,
                positions=config.positions,
                layer=layer,
                layers=len(config.layers),
            )
            for layer, name in enumerate(config.layers)
        )
        self.embedding_norm = NORMS[config.norm](config.width) if config.embedding_norm else nn.Identity()
        self.blocks = nn.ModuleList(
            Block(
                mixer,
                feed_forward=config.feed_forward,
                conv=config.conv,
                norm=config.norm,
                feed_forward_kind=config.feed_forward_kind,
                layer=layer,
                layers=len(config.layers),
            )
            for layer, mixer in enumerate(mixers)
        )
        self.norm = NORMS[config.norm](config.width)
        self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        for table in filter(None, (self.embedding, self.places)):
            nn.init.normal_(table.weight, std=EMBEDDING_STD)
        scale_residual_outputs(self.blocks)

    def forward(
        self, tokens: Tensor, state: ModelState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, ModelState]:
        """Logits (B, T, V) for the target at every token, and the state after the last.

        tokens  (B, T) int64 in [0, V)
        state   from an earlier call, to continue; None starts anew
        reset   (B, T) bool, true where a new sequence starts
        """
        self._check_tokens(tokens, 2)
        state = self.initial_state(tokens.shape[0]) if state is None else state
        x = self.embedding(tokens)
        position = state.position
        if self.places is not None:
            places, position = next_places(cast(Tensor, position), tokens.shape[1], reset)
            x = x + self.places(self._check_places(places))
        x, states, first_value = self.embedding_norm(x), [], FirstValue()
        for block, before in zip(self._each_block(), state.blocks, strict=True):
            x, after = block(x, before, reset=reset, first_value=first_value)
            states.append(after)
        return self.head(self.norm(x)), ModelState(tuple(states), position)

    def step(self, token: Tensor, state: ModelState) -> tuple[Tensor, ModelState]:
        """Logits (B, V) after one more token (B,) int64, and the state after it."""
        self._check_tokens(token, 1)
        x = self.embedding(token)
        position = state.position
        if self.places is not None:
            x = x + self.places(self._check_places(cast(Tensor, position)))
            position = cast(Tensor, position) + 1
        x, states, first_value = self.embedding_norm(x), [], FirstValue()
        for block, before in zip(self._each_block(), state.blocks, strict=True):
            x, after = block.step(x, before, first_value=first_value)
            states.append(after)
        return self.head(self.norm(x)), ModelState(tuple(states), position)

    def initial_state(self, batch_size: int) -> ModelState:
        """The state before any token, where the parameters live."""
        blocks = tuple(block.initial_state(batch_size) for block in self._each_block())
        if self.places is None:
            return ModelState(blocks, ())
        device = self.embedding.weight.device
        return ModelState(blocks, torch.zeros(batch_size, dtype=torch.int64, device=device))

    @torch.no_grad()
    def generate(
        self,
        prompt: Tensor,
        length: int,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
        state: ModelState | None = None,
        reset: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """Yield `length` tokens (B,) that continue `prompt` (B, T) int64, T at least 1, one by one.

        temperature  divides the logits; 0 takes the likeliest token
        generator    for the draws; needed unless the temperature is 0
        state        from an earlier call, which the prompt continues; None starts anew
        reset        (B, T) bool, true where a new sequence starts: for prompts of different lengths, left-padded,
                     `statewise.core.padding.left_padding_reset`
        """
        if prompt.shape[1] == 0:
            raise UsageError("generate: the prompt is empty; it must hold at least one token")
        if not temperature >= 0 or (temperature > 0 and generator is None):
            raise UsageError(
                f"generate: temperature is {temperature} and generator is {generator}; pass temperature=0, or a "
                "positive temperature and a torch.Generator"
            )
        logits, state = self(prompt, state, reset=reset)
        logits = logits[:, -1]
        for _ in range(length):
            token = _draw(logits, temperature, generator)
            yield token
            logits, state = self.step(token, state)

    def _each_block(self) -> Iterator[Block]:
        return cast(Iterator[Block], iter(self.blocks))

    def _check_tokens(self, tokens: Tensor, axes: int) -> None:
        shape = "(batch, time)" if axes == 2 else "(batch,)"
        if tokens.ndim != axes or tokens.dtype != torch.int64:
            raise UsageError(
                f"LanguageModel: tokens must be int64 of shape {shape}.\n  tokens  {tuple(tokens.shape)} {tokens.dtype}"
            )

    def _check_places(self, places: Tensor) -> Tensor:
        most = cast(int, self.config.max_length)
        if places.numel() and int(places.max()) >= most:
            raise UsageError(
                f"LanguageModel: token number {int(places.max()) + 1} has no learned position; max_length is {most}. "
                "Build the model with a larger max_length, or with positions='rope' or 'none'."
            )
        return places


def next_places(position: Tensor, length: int, reset: Tensor | None) -> tuple[Tensor, Tensor]:
    """The places of the next `length` tokens (B, T) and of the one after (B,), counting from each reset."""
    steps = torch.arange(length, device=position.device)
    places = position[:, None] + steps
    if reset is not None and length:
        since = torch.where(reset, steps, -1).cummax(1).values
        places = torch.where(since >= 0, steps - since, places)
    return places, places[:, -1] + 1 if length else position


def _draw(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial(F.softmax(logits / temperature, -1), 1, generator=generator)[:, 0]
