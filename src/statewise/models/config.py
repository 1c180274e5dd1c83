"""What a model is built from."""

from dataclasses import dataclass

from statewise.core.errors import UsageError, pick
from statewise.models.block import NORMS
from statewise.models.feed_forward import FEED_FORWARDS
from statewise.models.stack import check_settings, parse_stack

POSITIONS = ("none", "learned", "rope")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that a LanguageModel or a VectorModel is built from.

    vocabulary    number of token ids; 0 where tokens are vectors
    channels      of a token and of an answer, where tokens are vectors; None where they are ids
    width         channels between blocks
    stack         mixers, bottom first: `mingru`, `mingru*2`, `mingru+attention`
    depth         how many times the stack is repeated
    positions     none; learned (a vector for each place, added to the embedding); or rope (in attention layers)
    max_length    places that learned positions have; needed for them, and only for them
    expansion     inner width of mixers that have one, as a multiple of the width; None is each mixer's own default
    feed_forward  inner width of the feed-forward, as a multiple of the width; 0 leaves it out
    feed_forward_units  that inner width itself, in place of the multiple
    conv          taps of a short causal convolution before each mixer; 0 leaves it out
    norm          of the blocks and before the head: rms, layer (mean and variance, with a bias) or none
    norm_epsilon       what norms add to the variance; None is each one's own, 1e-6 of rms and 1e-5 of layer
    embedding_norm     whether the embedding passes such a norm before the first block
    feed_forward_kind  gelu, relu, geglu or geglu-tanh (gated by a GELU, or its approximation by tanh), swiglu (gated by
                       a SiLU, without biases), rwkv4 or rwkv7 (these see the token before and carry it)
    logits_cap         c of the cap c · tanh(logits / c), above 0; None leaves logits as they are
    mixer_settings     texts like `head_size=32`, for the mixers of the stack that take them
    dropout            share of what each branch adds to the residual that is dropped in training, in [0, 1)
    """

    vocabulary: int = 0
    channels: tuple[int, ...] | None = None
    width: int = 64
    stack: str = "mingru"
    depth: int = 1
    positions: str = "none"
    max_length: int | None = None
    expansion: int | None = None
    feed_forward: int = 4
    feed_forward_units: int | None = None
    conv: int = 0
    norm: str = "rms"
    norm_epsilon: float | None = None
    embedding_norm: bool = False
    feed_forward_kind: str = "gelu"
    logits_cap: float | None = None
    mixer_settings: tuple[str, ...] = ()
    dropout: float = 0.0

    def __post_init__(self) -> None:
        self._check_tokens()
        leasts = {"width": 1, "depth": 1, "expansion": 1, "feed_forward": 0, "feed_forward_units": 1, "conv": 0}
        for name, least in leasts.items():
            if (number := getattr(self, name)) is not None and number < least:
                raise UsageError(f"model: {name} is {number}; it must be at least {least}")
        for name in ("norm_epsilon", "logits_cap"):
            if (number := getattr(self, name)) is not None and not number > 0:
                raise UsageError(f"model: {name} is {number}; it must be above 0, or None")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"model: dropout is {self.dropout}; it must be at least 0 and below 1")
        check_settings(parse_stack(self.stack), self.mixer_settings)
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

    def _check_tokens(self) -> None:
        if self.channels is not None and self.logits_cap is not None:
            raise UsageError(f"model: logits_cap is {self.logits_cap}, and tokens are vectors, which have no logits")
        if self.channels is None and self.vocabulary < 1:
            raise UsageError(f"model: vocabulary is {self.vocabulary}; it must be at least 1")
        if self.channels is not None and (self.vocabulary or len(self.channels) != 2 or min(self.channels) < 1):
            raise UsageError(
                f"model: vocabulary is {self.vocabulary} and channels is {self.channels}; where tokens are vectors the "
                "vocabulary is 0, and channels are two positive numbers, those of a token and of an answer"
            )
