"""Stacks: which mixers a model is made of, written as text.

mingru              one layer
mingru*2            two
mingru*2+attention  two, then one of attention
"""

import inspect
import re

from statewise.core.errors import UsageError, pick
from statewise.mixers import MIXERS, Mixer

TERM = re.compile(r"([a-z][a-z0-9-]*)(?:\*([1-9][0-9]{0,3}))?")
SHAPE = "write mixers joined by +, each with an optional count, as in mingru*2+attention"


def parse_stack(text: str) -> tuple[str, ...]:
    """The mixer names of a stack, bottom first. A malformed text or unknown name is a UsageError.

    >>> parse_stack("mingru*2+attention")
    ('mingru', 'mingru', 'attention')
    """
    names: list[str] = []
    for term in text.split("+"):
        match = TERM.fullmatch(term.strip())
        if match is None:
            raise UsageError(f"stack {text!r}: {term.strip()!r} is not a layer; {SHAPE}")
        pick("model", match[1], MIXERS)
        names += [match[1]] * int(match[2] or 1)
    return tuple(names)


def build_mixer(name: str, width: int, *, expansion: int, positions: str) -> Mixer:
    """The mixer called `name`, given those of the model's settings that it takes.

    expansion  for mixers whose inner width is a multiple of the model's
    positions  rope goes to the mixers that rotate; learned positions are added below the first block
    """
    mixer = pick("model", name, MIXERS)
    taken = inspect.signature(mixer).parameters
    settings = {"expansion": expansion, "positions": "rope" if positions == "rope" else "none"}
    return mixer(width, **{key: value for key, value in settings.items() if key in taken})
