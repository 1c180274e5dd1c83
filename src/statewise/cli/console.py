"""Where commands print."""

import sys

from rich.console import Console

WIDTH_OF_A_PIPE = 140
"""Columns when nobody's terminal says: wide enough for the widest table."""


def console() -> Console:
    """Standard output, as wide as its terminal; texts are printed as they are, brackets and colons included."""
    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_PIPE)


def printable(text: str) -> str:
    """`text` with control characters replaced, so that what a model says cannot steer a terminal.

    >>> printable("a\\x1b[2Jb\\n")
    'a�[2Jb\\n'
    """
    return "".join(c if c in "\n\t" or (c.isprintable() and c != "\x1b") else "�" for c in text)
