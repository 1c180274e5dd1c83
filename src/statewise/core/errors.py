"""What can go wrong, as a tree.

StatewiseError            anything this package raises on purpose
├── UsageError            what was asked for cannot be; also a ValueError; exit status 2
│   └── MissingExtraError  an optional package is needed and absent; names the extra
└── RunError              the work itself failed; exit status 1
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


class StatewiseError(Exception):
    """Anything this package raises on purpose: catch it to catch them all."""


class UsageError(StatewiseError, ValueError):
    """What was asked for cannot be: the message says where, what was got and what was needed."""


class MissingExtraError(UsageError):
    """An optional package is needed and absent: the message names the extra to install."""


class RunError(StatewiseError):
    """The work itself failed: a damaged record, a folder that cannot be written, a lost worker."""


class SearchError(StatewiseError):
    """A search found nothing that can be handed back: the message says why. Generation goes on, with FAILED."""


def pick(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of `table` called `name`, or a UsageError that offers the nearest names.

    >>> pick("task", "parity", {"parity": 1, "dyck": 2})
    1
    """
    if name not in table:
        raise UsageError(f"unknown {kind} {name!r}{suggestion(name, table)}")
    return table[name]


def suggestion(name: str, names: Iterable[str]) -> str:
    """The tail of a message about an unknown name: the nearest names, or all there are.

    >>> suggestion("party", ["parity", "dyck"])
    ': did you mean parity?'
    """
    known = sorted(names)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f": did you mean {' or '.join(near)}?" if near else f": there are {', '.join(known)}"
