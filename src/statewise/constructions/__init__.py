"""Theorems made of numbers: models whose weights are written down, and checked."""

from collections.abc import Callable
from typing import Any

from statewise.constructions import index_lookup
from statewise.constructions.construction import Construction, Verification
from statewise.core.errors import pick

__all__ = ["CONSTRUCTIONS", "Construction", "Verification", "build"]

CONSTRUCTIONS: dict[str, Callable[..., Construction]] = {
    "index-lookup/attention": index_lookup.attention,
}
"""Called with the largest size, and settings by name."""


def build(name: str, size: int, **settings: Any) -> Construction:
    """The construction of a name for sizes up to `size`. A name that is not known is a UsageError.

    >>> build("index-lookup/attention", 8).verify().exact
    True
    """
    return pick("construction", name, CONSTRUCTIONS)(size, **settings)
