"""What an encoder–decoder is built from."""

from dataclasses import dataclass, fields

from statewise.core.errors import pick
from statewise.core.settings import parse_settings
from statewise.models.config import ModelConfig
from statewise.models.stack import check_settings, parse_stack, settings_taken

BRIDGES = {
    "state": "the encoder's final state alone",
    "attention": "the encoder's output at every token of the source",
}


@dataclass(frozen=True, kw_only=True)
class EncoderDecoderConfig:
    """Everything that an EncoderDecoder is built from. What is not said here is as in `ModelConfig`, for both halves.

    vocabulary   number of token ids, of source and target alike
    stack        mixers of the decoder, bottom first
    encoder      mixers of the encoder; None is the decoder's. Attention without a window sees the whole source there,
                 any other mixer stands for two, one from each end
    bridge       what crosses: state or attention
    max_length   places that learned positions have, on either side
    """

    vocabulary: int
    width: int = 64
    stack: str = "mingru"
    encoder: str | None = None
    bridge: str = "attention"
    positions: str = "none"
    max_length: int | None = None
    expansion: int | None = None
    feed_forward: int = 4
    conv: int = 0
    norm: str = "rms"
    feed_forward_kind: str = "gelu"
    mixer_settings: tuple[str, ...] = ()
    dropout: float = 0.0

    def __post_init__(self) -> None:
        pick("bridge", self.bridge, BRIDGES)
        # Each half is checked as it is made; a setting that one of them alone takes is no mistake.
        check_settings(self.layers, self.mixer_settings)

    @property
    def layers(self) -> tuple[str, ...]:
        """The mixer of every block, those of the encoder first."""
        return self.source_half.layers + self.target_half.layers

    @property
    def source_half(self) -> ModelConfig:
        """The encoder's configuration."""
        return self._half(self.stack if self.encoder is None else self.encoder)

    @property
    def target_half(self) -> ModelConfig:
        """The decoder's."""
        return self._half(self.stack)

    def _half(self, stack: str) -> ModelConfig:
        taken = frozenset().union(*map(settings_taken, parse_stack(stack)))
        texts = self.mixer_settings
        settings = tuple(text for text in texts if not taken.isdisjoint(parse_settings([text], where="mixer settings")))
        shared = {field.name: getattr(self, field.name) for field in fields(self) if field.name in SHARED}
        return ModelConfig(**shared | {"stack": stack, "mixer_settings": settings})


SHARED = {field.name for field in fields(ModelConfig)}
"""What both halves are given."""
