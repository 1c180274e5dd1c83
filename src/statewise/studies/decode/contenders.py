"""Who decodes: models of ours of equal parameters, and beside them the same models as transformers builds them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from statewise.core.errors import UsageError
from statewise.mixers import find_mixer
from statewise.models import ModelConfig
from statewise.studies.equal_parameters import at_parameters

VOCABULARY = 256
OURS = "statewise"
MAMBA, LLAMA = "mamba", "llama"
PUBLISHED_ALONE = {"mamba", "mamba2"}
"""Mixers that are whole blocks where they were published: a stack of one of them has no feed-forward."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Contender:
    """One model that decodes.

    label         what it is called in the table
    config        of our model; for one of transformers, of ours that it is equal to
    architecture  statewise, or the architecture of transformers: mamba, llama
    """

    label: str
    config: ModelConfig
    architecture: str = OURS

    def __repr__(self) -> str:
        """The label."""
        return self.label

    @property
    def kind(self) -> str:
        """recurrent, where no state grows; attention, where all do; else hybrid."""
        return kind_of(self.config.layers)


def kind_of(layers: Sequence[str]) -> str:
    """What a stack of these mixers is.

    >>> kind_of(["mingru", "mamba"]), kind_of(["mingru", "attention"]), kind_of(["attention"])
    ('recurrent', 'hybrid', 'attention')
    """
    constant = [find_mixer(name).recurrent for name in layers]
    return "recurrent" if all(constant) else "hybrid" if any(constant) else "attention"


def contenders_of(stacks: Sequence[str], parameters: int, *, transformers: bool) -> list[Contender]:
    """Models of these stacks with so many parameters, each at the width that comes nearest.

    transformers  behind them its Mamba, with the very settings of the first stack of mamba alone, and its Llama, with
                  the width and layers of the first stack of attention alone, where there are such stacks

    >>> found = contenders_of(["mingru*2", "mamba*4", "attention*2"], 100_000, transformers=True)
    >>> [(each.label, each.kind) for each in found[2:]]
    [('attention*2', 'attention'), ('transformers mamba', 'recurrent'), ('transformers llama', 'attention')]
    """
    if len(set(stacks)) < len(stacks) or not stacks:
        raise UsageError(f"bench decode: models is {tuple(stacks)}; name at least one stack, and none twice")
    ours = [Contender(label=stack, config=at_parameters(unsized(stack), parameters)) for stack in stacks]
    wanted = {MAMBA: "mamba", LLAMA: "attention"} if transformers else {}
    theirs = [
        Contender(label=f"transformers {architecture}", config=each.config, architecture=architecture)
        for architecture, mixer in wanted.items()
        for each in [each for each in ours if set(each.config.layers) == {mixer}][:1]
    ]
    return ours + theirs


def unsized(stack: str) -> ModelConfig:
    """A model of a stack, of any width: attention turns queries and keys by their places, as Llama does."""
    config = ModelConfig(vocabulary=VOCABULARY, stack=stack)
    if kind_of(config.layers) != "recurrent":
        return replace(config, positions="rope")
    return replace(config, feed_forward=0) if set(config.layers) <= PUBLISHED_ALONE else config
