"""Constructions by name."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from statewise.constructions import index_lookup
from statewise.constructions.construction import Construction
from statewise.core.errors import UsageError, pick

CONSTRUCTIONS: dict[str, Callable[..., Construction]] = {
    "index-lookup/attention": index_lookup.attention,
}
"""Called with the largest size, and settings by name."""


def build(name: str, size: int, **settings: Any) -> Construction:
    """The construction of a name for sizes up to `size`. A name or a setting that is not known is a UsageError.

    >>> build("index-lookup/attention", 8).verify().exact
    True
    """
    made = pick("construction", name, CONSTRUCTIONS)
    for setting in settings:
        if setting not in (taken := list(inspect.signature(made).parameters)[1:]):
            raise UsageError(f"{name} has no setting {setting!r}; settings are {', '.join(taken) or 'none'}")
    return replace(made(size, **settings), arguments={"size": size, **settings})
