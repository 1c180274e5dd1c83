"""What a study leaves: quantities beside their published values, charts, and sentences. Plain numbers, no models."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

from statewise.core.config import from_plain, to_plain
from statewise.core.errors import RunError

SUFFIX = ".study.json"


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published value, and what it is to agree with it.

    known    how the value is known: seen, derived, or from memory
    value    None where a paper says it in words
    words    these
    low      least mean over seeds that agrees
    high     largest mean over seeds that agrees
    """

    known: str
    value: float | None = None
    words: str = ""
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One line of a study's table.

    values         one for each seed
    published      None where no paper gives a value
    logarithmic    the mean over seeds and its interval are taken of logarithms, as for losses that span magnitudes;
                   values are then positive
    incomparable   why the value and the published one cannot be compared; empty where they can
    exact          counted, not sampled: one value is all there is to compare
    """

    name: str
    values: tuple[float, ...]
    published: Published | None = None
    logarithmic: bool = False
    incomparable: str = ""
    exact: bool = False


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line of a chart: at each x one value for each seed."""

    label: str
    points: tuple[tuple[float, tuple[float, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A place on one of the axes, `x` or `y`, with its name."""

    label: str
    axis: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A figure: curves over positive x on a logarithmic axis; y is `linear` or else positive and logarithmic too."""

    name: str
    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    marks: tuple[Mark, ...] = ()
    linear: bool = False


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table of texts: a row for each label, as wide as the headings."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything that a study found."""

    quantities: tuple[Quantity, ...]
    charts: tuple[Chart, ...]
    notes: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()


def around(value: float, known: str, *, share: float) -> Published:
    """A published value that a mean agrees with where it is off by at most this share of it.

    >>> around(10.0, "seen", share=0.1).high
    11.0
    """
    return Published(value=value, known=known, low=value * (1 - share), high=value * (1 + share))


def at_most(value: float, known: str, *, times: float) -> Published:
    """A published error that a mean agrees with where it is at most so many times as large.

    >>> at_most(1e-3, "from memory", times=10).high
    0.01
    """
    return Published(value=value, known=known, high=value * times)


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """A study at one scale: what it claims and where that stands, the names of its runs, and what was found."""

    name: str
    scale: str
    claim: str
    source: str
    runs: tuple[str, ...]
    findings: Findings


def save_study(study: StudyRecord, root: Path) -> Path:
    """Write `<name>-<scale>.study.json` into the folder of run folders, whole or not at all, and return its path."""
    path = root / f"{study.name}-{study.scale}{SUFFIX}"
    partial = path.with_suffix(f".partial-{os.getpid()}")
    partial.write_text(json.dumps(to_plain(study), indent=1) + "\n", encoding="utf-8")
    return partial.replace(path)


def load_studies(root: Path) -> list[StudyRecord]:
    """Every study that was saved below `root`, by name. A file that is damaged or foreign is a RunError."""
    return [load_study(path) for path in sorted(root.glob(f"*{SUFFIX}"))]


def load_study(path: Path) -> StudyRecord:
    """One study from its file."""
    try:
        return from_plain(StudyRecord, json.loads(path.read_text(encoding="utf-8")), where=str(path))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}; remove it, and reproduce its study again") from None
