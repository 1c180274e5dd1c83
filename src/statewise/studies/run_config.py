"""The whole configuration of one run: its digest is the run's name."""

from dataclasses import dataclass
from typing import Any

from statewise.core.config import digest, from_plain
from statewise.core.errors import UsageError
from statewise.models import ModelConfig
from statewise.training import TrainingConfig

FORMAT = 3
"""Raised when the same configuration would give different numbers, so that old runs are not taken for new."""


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
class RunConfig:
    """One training and evaluation. `task` is a task's identity: its name, fields and, for text, SHA-256."""

    task: dict[str, Any]
    model: ModelConfig
    training: TrainingConfig
    evaluation: EvaluationConfig
    seed: int
    format: int = FORMAT

    @property
    def name(self) -> str:
        """The run's name."""
        return digest(self)

    @property
    def title(self) -> str:
        """The run in a few words, for progress lines."""
        return f"{self.task['name']} · {self.model.stack} · rate {self.training.learning_rate:g} · seed {self.seed}"

    @staticmethod
    def from_plain(plain: dict[str, Any], *, where: str) -> "RunConfig":
        """The configuration that a record holds; unknown keys are refused."""
        return from_plain(RunConfig, plain, where=where)
