"""The needle test as a table: a line for each model and length, and a column for each fifth of the text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from statewise.report.interval import interval
from statewise.report.table import share

STATE, SEARCHED = "state\nbits", "searched\nbits"


@dataclass(frozen=True, kw_only=True)
class NeedleLine:
    """How one model did at one length.

    by_depth       a tuple for each seed, with the accuracy in each fifth of the text; NaN where no fact stood
    overall        the accuracy at all depths, for each seed
    state_bits     of the model's state when it answered
    searched_bits  of the text that could be searched; 0 without search
    """

    model: str
    length: int
    by_depth: tuple[tuple[float, ...], ...]
    overall: tuple[float, ...]
    state_bits: int
    searched_bits: int


def needle_table(lines: Sequence[NeedleLine]) -> Table:
    """Accuracy in percent by depth, lengths of a model together."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    fifths = len(lines[0].by_depth[0]) if lines else 0
    for heading in ("model", "length", *depth_headings(fifths), "all\ndepths", STATE, SEARCHED):
        table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=heading != "model")
    for i, line in enumerate(lines):
        last = i + 1 == len(lines) or lines[i + 1].model != line.model
        table.add_row(*map(Text, needle_cells(line)), end_section=last)
    return table


def depth_headings(parts: int) -> list[str]:
    """The ends of each part of the text in percent.

    >>> depth_headings(2)
    ['0 to\\n50 %', '50 to\\n100 %']
    """
    return [f"{100 * part // parts} to\n{100 * (part + 1) // parts} %" for part in range(parts)]


def needle_cells(line: NeedleLine) -> list[str]:
    """One row's texts."""
    return [
        line.model,
        f"{line.length:,}",
        *(accuracy(values) for values in zip(*line.by_depth, strict=True)),
        accuracy(line.overall),
        f"{line.state_bits:,}",
        f"{line.searched_bits:,}" if line.searched_bits else "–",
    ]


def accuracy(values: Sequence[float]) -> str:
    """A mean over seeds in percent with half of its interval; a dash where nothing was asked.

    >>> accuracy([1.0, math.nan]), accuracy([math.nan])
    ('100', '–')
    """
    asked = [value for value in values if not math.isnan(value)]
    return share(interval(asked, least=0, most=1)) if asked else "–"
