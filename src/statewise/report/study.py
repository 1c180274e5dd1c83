"""A study's table, sentences and figures, from its findings alone."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from statewise.report.chart import chart_plot
from statewise.report.figures import picture, svg
from statewise.report.interval import Interval, interval
from statewise.runs import Record
from statewise.runs.findings import Findings, Grid, Published, Quantity, StudyRecord


@dataclass(frozen=True)
class StudyPart:
    """A study and the records of its runs."""

    study: StudyRecord
    records: tuple[Record, ...] = ()


SEEDS_TO_COMPARE = 3
"""Fewer give no interval worth the name, and nothing is compared with them."""

LONGEST_IN_FULL = 1e12
"""Whole numbers from here on are rounded as others are: nobody reads more digits."""

PNG_DPI = 150

HEADINGS = ("quantity", "paper", "known", "accepted", "ours", "seeds", "verdict")

RULE = (
    "A value agrees where its mean over seeds lies in the accepted range, which is written in the study and was fixed "
    f"before looking. ± is half of Student's t 95 % interval over seeds, ×÷ the same for logarithms: approximate. With "
    f"fewer than {SEEDS_TO_COMPARE} seeds nothing is compared but what is counted."
)


def verdict_of(quantity: Quantity) -> str:
    """`agrees`, `differs`, or `not comparable: why`; a dash where nothing is published.

    >>> from statewise.runs.findings import around
    >>> verdict_of(Quantity(name="rate", values=(0.9, 1.0, 1.2), published=around(1.0, "seen", share=0.1)))
    'agrees'
    """
    published = quantity.published
    if published is None:
        return "–"
    if quantity.incomparable:
        return f"not comparable: {quantity.incomparable}"
    if not quantity.values or (len(quantity.values) < SEEDS_TO_COMPARE and not quantity.exact):
        return f"not comparable: {len(quantity.values)} of at least {SEEDS_TO_COMPARE} seeds"
    return "agrees" if published.low <= centre(quantity) <= published.high else "differs"


def centre(quantity: Quantity) -> float:
    """The mean over seeds, geometric where the quantity is logarithmic; NaN of no values."""
    if not quantity.values:
        return math.nan
    found = interval_of(quantity)
    return math.exp(found.mean) if quantity.logarithmic else found.mean


def interval_of(quantity: Quantity) -> Interval:
    """The interval over seeds, of logarithms where the quantity is logarithmic."""
    if not quantity.logarithmic:
        return interval(quantity.values)
    return interval([math.log(max(value, sys.float_info.min)) for value in quantity.values])


def render_study(findings: Findings) -> RenderableType:
    """The table, what its columns mean, and what the study notes."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        numbers = heading in ("paper", "accepted", "ours", "seeds")
        table.add_column(heading, justify="right" if numbers else "left", no_wrap=numbers, overflow="fold")
    for quantity in findings.quantities:
        table.add_row(*map(Text, cells(quantity)))
    grids = [part for grid in findings.grids for part in (Text(grid.title), grid_table(grid))]
    return Group(*grids, table, Text(RULE), *(Text(f"· {note}") for note in findings.notes))


def grid_table(grid: Grid) -> Table:
    """A table of texts, its first column to the left and the others to the right."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for place, heading in enumerate(grid.headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=bool(place))
    for row in grid.rows:
        table.add_row(*map(Text, row))
    return table


def cells(quantity: Quantity) -> list[str]:
    """One line of the table."""
    published = quantity.published
    known = ["–", "–", "–"]
    if published is not None:
        said = published.words if published.value is None else short(published.value)
        known = [said, published.known, accepted(published)]
    seeds = "counted" if quantity.exact else str(len(quantity.values))
    return [quantity.name, *known, measured(quantity), seeds, verdict_of(quantity)]


def accepted(published: Published) -> str:
    """The range of means that agree.

    >>> accepted(Published(value=1.0, known="seen", high=2.0))
    '≤ 2'
    """
    low, high = published.low, published.high
    if low == -math.inf:
        return f"≤ {short(high)}"
    return f"≥ {short(low)}" if high == math.inf else f"{short(low)} to {short(high)}"


def measured(quantity: Quantity) -> str:
    """Mean and interval over seeds.

    >>> measured(Quantity(name="loss", values=(0.001, 0.001, 0.001), logarithmic=True))
    '0.001 ×÷1'
    """
    if not quantity.values:
        return "–"
    found, mean = interval_of(quantity), short(centre(quantity))
    if math.isnan(found.half):
        return mean
    return f"{mean} ×÷{short(math.exp(min(found.half, 99.0)))}" if quantity.logarithmic else f"{mean} ±{found.half:.2g}"


def short(number: float) -> str:
    """Three digits, and of whole numbers all.

    >>> short(0.067568), short(4.97e-8), short(14.0), short(3152896.0), short(3152896.5)
    ('0.0676', '4.97e-08', '14', '3,152,896', '3.15e+06')
    """
    whole = 1000 <= abs(number) < LONGEST_IN_FULL and number == int(number)
    return f"{number:,.0f}" if whole else f"{number:.3g}"


def draw_charts(findings: Findings, folder: Path, *, name: str) -> list[Path]:
    """Write every chart as `<name>-<chart>.svg` and `.png` into `folder`; returns the paths.

    MissingExtraError where the extra `report` is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for chart in findings.charts:
        figure, stem = picture(chart_plot(chart)), f"{name}-{chart.name}"
        vector, pixels = folder / f"{stem}.svg", folder / f"{stem}.png"
        vector.write_text(svg(figure), encoding="utf-8")
        figure.savefig(pixels, dpi=PNG_DPI)
        written += [vector, pixels]
    return written
