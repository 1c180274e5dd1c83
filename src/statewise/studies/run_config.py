"""The whole configuration of one run: its digest is the run's name."""

from dataclasses import dataclass
from typing import Any

import torch

from statewise.core.config import digest, from_plain, to_plain
from statewise.core.errors import UsageError, pick
from statewise.models import EncoderDecoderConfig, ModelConfig
from statewise.runs.record import title_of_run
from statewise.training import TrainingConfig

FORMAT = 3
"""Raised when the same configuration would give different numbers, so that old runs are not taken for new."""


ROUNDINGS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is measured after training: the test split to report, the validation split to select by.

    sizes     task sizes
    examples  sequences of either split at each size; None is all there are (text)
    strings   random strings for the capacity meter at each size; 0 leaves it out, None is every string
    """

    sizes: tuple[int, ...]
    examples: int | None = 1024
    strings: int | None = 256

    def __post_init__(self) -> None:
        if not self.sizes:
            raise UsageError("evaluation: there are no sizes; name at least one")
        if self.examples is not None and self.examples < 1:
            raise UsageError(f"evaluation: examples is {self.examples}; it must be at least 1")
        if self.strings is not None and (self.strings < 0 or self.strings == 1):
            raise UsageError(f"evaluation: strings is {self.strings}; it must be 0 or at least 2")


@dataclass(frozen=True, kw_only=True)
class Initial:
    """Weights to start from: those of a construction.

    construction  its name
    arguments     what `statewise.constructions.build` is called with besides
    rounding      dtype that every weight is rounded to, by its name in ROUNDINGS; None leaves them
    noise         standard deviation of Gaussian noise on every tensor, as a share of the root mean square of its values
    """

    construction: str
    arguments: dict[str, Any]
    rounding: str | None = None
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.rounding is not None:
            pick("rounding", self.rounding, ROUNDINGS)
        if not self.noise >= 0:
            raise UsageError(f"init: noise is {self.noise}; it must be at least 0")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training and evaluation. `task` is a task's identity: its name, fields and, for text, SHA-256.

    initial  weights that are written down; None starts from random ones
    """

    task: dict[str, Any]
    model: ModelConfig | EncoderDecoderConfig
    training: TrainingConfig
    evaluation: EvaluationConfig
    seed: int
    initial: Initial | None = None
    format: int = FORMAT

    @property
    def name(self) -> str:
        """The run's name."""
        return digest(self)

    @property
    def title(self) -> str:
        """The run in a few words, for progress lines."""
        return title_of_run(to_plain(self))

    @staticmethod
    def from_plain(plain: dict[str, Any], *, where: str) -> "RunConfig":
        """The configuration that a record holds; unknown keys are refused."""
        return from_plain(RunConfig, plain, where=where)
