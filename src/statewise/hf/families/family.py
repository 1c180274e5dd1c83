"""What a family of models is: the two configurations of one architecture, and the names of its tensors."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from transformers import PreTrainedConfig

from statewise.core.errors import UsageError
from statewise.hf.families.names import Table
from statewise.models import LanguageModel, ModelConfig


class Family(ABC):
    """One architecture of transformers that a stack of ours is too.

    model_type  its name there
    layers      the prefix of a block's tensors there, with {} for its place
    ends        the tensors outside the blocks, by our names
    blocks      those of a block, by our mixer and our names behind `blocks.N.`
    must_be     settings of theirs that ours have one value for
    ties        whether theirs can read out with the embedding itself
    """

    model_type: ClassVar[str]
    layers: ClassVar[str]
    ends: ClassVar[Table]
    blocks: ClassVar[dict[str, Table]]
    must_be: ClassVar[dict[str, object]]
    ties: ClassVar[bool] = True

    @abstractmethod
    def ours(self, config: Any) -> ModelConfig:
        """The configuration of our model."""

    @abstractmethod
    def theirs(self, model: LanguageModel) -> dict[str, Any]:
        """The settings of their configuration for a model of ours, whose layers are all among `blocks`."""

    def check(self, config: PreTrainedConfig, where: str) -> None:
        """Raise a UsageError for a setting that no model of ours has."""
        for name, value in self.must_be.items():
            given = getattr(config, name)
            if given != value:
                raise UsageError(
                    f"{where}: {name} is {given!r} in this {self.model_type} model; ours have {value!r} alone"
                )


def settings(**values: object) -> tuple[str, ...]:
    """Mixer settings as texts; None is left out.

    >>> settings(head_size=4, rank=None)
    ('head_size=4',)
    """
    return tuple(f"{name}={value}" for name, value in values.items() if value is not None)
