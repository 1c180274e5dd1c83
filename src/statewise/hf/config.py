"""The configuration of a statewise model as transformers keeps it: the fields of `ModelConfig`, under their names."""

from dataclasses import fields
from typing import Any

from transformers import PreTrainedConfig

from statewise.core.config import from_plain, to_plain
from statewise.core.errors import UsageError
from statewise.models import ModelConfig

TAKEN = tuple(field.name for field in fields(ModelConfig) if field.name != "channels")
"""The fields of a ModelConfig that a language model has."""


class StatewiseConfig(PreTrainedConfig):
    """What a StatewiseForCausalLM is built from: `ModelConfig` without `channels`, and what transformers adds.

    Fields that make no model are a UsageError. `vocab_size` and `hidden_size` are other names of `vocabulary` and
    `width`.

    >>> StatewiseConfig(vocabulary=256, width=32, stack="mingru*2").num_hidden_layers
    2
    """

    model_type = "statewise"
    attribute_map = {"vocab_size": "vocabulary", "hidden_size": "width"}  # noqa: RUF012

    vocabulary: int = 256
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
    norm_epsilon: float | int | None = None
    embedding_norm: bool = False
    feed_forward_kind: str = "gelu"
    logits_cap: float | int | None = None
    mixer_settings: list[str] | tuple[str, ...] = ()
    dropout: float | int = 0.0
    use_cache: bool = True
    tie_word_embeddings: bool = False
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None

    def __post_init__(self, **kwargs: object) -> None:
        if self.tie_word_embeddings:
            raise UsageError(
                "StatewiseConfig: tie_word_embeddings is True; a statewise model has a head of its own: leave it False"
            )
        self.mixer_settings = list(self.mixer_settings)
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        self.to_model_config()

    @classmethod
    def of(cls, config: ModelConfig, **others: Any) -> "StatewiseConfig":
        """The configuration of a language model, with `others` that transformers knows.

        >>> StatewiseConfig.of(ModelConfig(vocabulary=7), eos_token_id=0).vocab_size
        7
        """
        if config.channels is not None:
            raise UsageError(
                f"StatewiseConfig: channels is {config.channels}; only models over token ids have a place here"
            )
        plain = to_plain(config)
        return cls(**{name: plain[name] for name in TAKEN}, **others)

    def to_model_config(self) -> ModelConfig:
        """What the model itself is built from. Fields that make none are a UsageError."""
        plain = {name: getattr(self, name) for name in TAKEN}
        return from_plain(ModelConfig, plain, where="StatewiseConfig")

    @property
    def num_hidden_layers(self) -> int:
        """How many blocks the model has."""
        return len(self.to_model_config().layers)
