"""Stacks: which mixers a model is made of, written as text.

mingru              one layer
mingru*2            two
mingru*2+attention  two, then one of attention
my_module.MyMixer   one of yours, by its dotted path
"""

import inspect
import re
from collections.abc import Sequence

from statewise.core.errors import UsageError
from statewise.core.settings import parse_settings
from statewise.mixers import Mixer, find_mixer

TERM = re.compile(r"([a-z][a-z0-9-]*|[^\W\d]\w*(?:\.[^\W\d]\w*)+)(?:\*([1-9][0-9]{0,3}))?")
SHAPE = "write mixers joined by +, each with an optional count, as in mingru*2+attention"


def parse_stack(text: str) -> tuple[str, ...]:
    """The mixer names of a stack, bottom first. A malformed text or unknown name is a UsageError.

    A dotted path is imported.

    >>> parse_stack("mingru*2+attention")
    ('mingru', 'mingru', 'attention')
    """
    names: list[str] = []
    for term in text.split("+"):
        match = TERM.fullmatch(term.strip())
        if match is None:
            raise UsageError(f"stack {text!r}: {term.strip()!r} is not a layer; {SHAPE}")
        find_mixer(match[1])
        names += [match[1]] * int(match[2] or 1)
    return tuple(names)


def build_mixer(
    name: str,
    width: int,
    *,
    expansion: int | None,
    positions: str,
    settings: Sequence[str] = (),
    layer: int = 0,
    layers: int = 1,
) -> Mixer:
    """The mixer called `name`, given those of the model's settings that it takes.

    expansion      for mixers whose inner width is a multiple of the model's; None is each one's own default
    positions      rope goes to the mixers that rotate; learned positions are added below the first block
    settings       of any name, as texts like `head_size=32`; they come last
    layer, layers  its place in the model, for mixers whose weights start by it
    """
    mixer = find_mixer(name)
    given: dict[str, object] = {
        "positions": "rope" if positions == "rope" else "none",
        "layer": layer,
        "layers": layers,
    }
    if expansion is not None:
        given["expansion"] = expansion
    given |= parse_settings(settings, where="mixer settings")
    return mixer(width, **{key: value for key, value in given.items() if key in settings_taken(name)})


def settings_taken(name: str) -> frozenset[str]:
    """The names of the settings that a mixer takes.

    >>> sorted(settings_taken("attention"))
    ['head_size', 'kv_heads', 'positions', 'rotary', 'window']
    """
    parameters = inspect.signature(find_mixer(name)).parameters.values()
    return frozenset(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


def check_settings(names: Sequence[str], settings: Sequence[str]) -> None:
    """Raise a UsageError for a setting that none of these mixers takes."""
    taken = frozenset().union(*map(settings_taken, names))
    for key in parse_settings(settings, where="mixer settings"):
        if key not in taken:
            stack = " ".join(dict.fromkeys(names))
            raise UsageError(f"mixer settings: {stack} takes no {key!r}; settings are {', '.join(sorted(taken))}")
