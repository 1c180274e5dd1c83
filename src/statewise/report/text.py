"""Language models side by side: loss at equal wall time, tokens and parameters, cost, and what they write."""

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from statewise.core.events import Evaluated
from statewise.report.interval import Interval, interval
from statewise.report.repetition import Repetition, repetition_of
from statewise.report.summary import Row, Summary
from statewise.report.table import spread, title_of
from statewise.runs import Record
from statewise.runs.events import read_events
from statewise.tasks import Task

SIDE_BY_SIDE = 3
SHOWN = 320
"""Bytes of each sample that are shown; the measures are of all of it."""

CORPUS = "the corpus itself"
MEBIBYTE = 2**20
Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Written:
    """What the model of a run with this seed wrote, and how fast."""

    seed: int
    text: str
    tokens_per_second: float


@dataclass(frozen=True, kw_only=True)
class TextLine:
    """One model. Losses in nats per byte; means over seeds.

    at_end            on the test split, when the budget was used up
    at_equal_tokens   on the validation split, when as many tokens were read as every run read; None where that was
                      before a run's first evaluation
    peak_memory       bytes, of the process that trained; None where records do not say
    """

    stack: str
    parameters: int
    at_end: Interval
    at_equal_tokens: Interval | None
    tokens: float
    tokens_per_second: float
    writing: Interval | None
    peak_memory: int | None
    state_bits: int
    recurrent: bool
    written: tuple[Written, ...]


@dataclass(frozen=True, kw_only=True)
class TextPart:
    """A comparison of language models on one corpus.

    task, title   what to call the corpus: in short, and with its settings
    size          of the windows, the largest that was measured
    equal_tokens  how many tokens every run read
    wall_clock    whether the budget was time; else it was steps, and tokens are equal throughout
    prompt, own   of the corpus: what the samples continue, and how it goes on itself
    """

    task: str
    title: str
    size: int
    lines: tuple[TextLine, ...]
    equal_tokens: float
    wall_clock: bool
    prompt: str
    own: str


def text_part(
    summary: Summary, task: Task, folder: Path, written: Mapping[str, Sequence[Written]], *, prompt: str, own: str
) -> TextPart | None:
    """The comparison on one task, at the largest size that was measured; None where no run finished.

    folder   of the run folders, whose events say how the loss fell
    written  what the models of each name wrote
    """
    rows = [row for row in summary.rows if row.task == task]
    largest = max((row.size for row in rows), default=0)
    rows = [row for row in rows if row.size == largest]
    if not rows:
        return None
    equal = min(record.training["tokens"] for row in rows for record in row.records)
    return TextPart(
        task=task.title,
        title=title_of(task, [largest]),
        size=largest,
        lines=tuple(line_of(row, folder, equal, written.get(row.stack, ())) for row in rows),
        equal_tokens=equal,
        wall_clock=rows[0].wall_clock,
        prompt=prompt,
        own=own,
    )


def line_of(row: Row, folder: Path, equal_tokens: float, written: Sequence[Written]) -> TextLine:
    """One model from its runs."""
    records, count = row.records, len(row.records)
    read = [loss_at(curve_of(record, folder), equal_tokens) for record in records]
    known = [loss for loss in read if loss is not None]
    peaks = [record.environment["peak_memory"] for record in records if "peak_memory" in record.environment]
    rates = [each.tokens_per_second for each in written]
    return TextLine(
        stack=row.stack,
        parameters=records[0].facts["parameters"],
        at_end=row.loss_per_byte or row.loss,
        at_equal_tokens=interval(known, least=0) if len(known) == count else None,
        tokens=math.fsum(record.training["tokens"] for record in records) / count,
        tokens_per_second=math.fsum(record.training["tokens_per_second"] for record in records) / count,
        writing=interval(rates, least=0) if rates else None,
        peak_memory=max(peaks) if peaks else None,
        state_bits=row.state_bits,
        recurrent=records[0].facts["recurrent"],
        written=tuple(written),
    )


def curve_of(record: Record, folder: Path) -> Curve:
    """Loss per byte on the validation split over tokens read, the one after training last."""
    each = record.training["tokens"] / max(1, record.training["steps"])
    size = max(record.config["training"]["sizes"])
    points = {
        event.step * each: event.loss if event.loss_per_byte is None else event.loss_per_byte
        for event in read_events(folder / record.name)
        if isinstance(event, Evaluated) and event.size == size
    }
    for result in record.results:
        if result.size == size:
            last = result.validation
            points[record.training["tokens"]] = last.loss if last.loss_per_byte is None else last.loss_per_byte
    return sorted(points.items())


def loss_at(curve: Curve, tokens: float) -> float | None:
    """The loss after so many tokens, on the line between the evaluations around; None outside of them.

    >>> loss_at([(100, 3.0), (200, 2.0)], 150), loss_at([(100, 3.0)], 50)
    (2.5, None)
    """
    place = bisect.bisect_left(curve, (tokens, -math.inf))
    if place == len(curve) or (place == 0 and curve[0][0] != tokens):
        return None
    after, loss = curve[place]
    if after == tokens:
        return loss
    before, earlier = curve[place - 1]
    return earlier + (loss - earlier) * (tokens - before) / (after - before)


HEADINGS = (
    "model", "parameters", "loss\nat the end", "loss at\nequal tokens", "tokens\nread", "training\ntokens/s",
    "writing\ntokens/s", "peak\nMiB", "state\nbits", "distinct\nwords %", "distinct\npairs %", "repeated\nfours %",
)  # fmt: skip


def render_text(part: TextPart) -> RenderableType:
    """The table, what its columns are, and samples side by side."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="Language models side by side", title_justify="left")
    for heading in HEADINGS:
        table.add_column(
            heading, justify="left" if heading == "model" else "right", no_wrap=heading != "model", overflow="fold"
        )
    for line in part.lines:
        table.add_row(*map(Text, cells_of(line)))
    table.add_row(*map(Text, cells_of_corpus(part)))
    return Group(table, *map(Text, notes_of(part)), Text(""), *samples(part))


def cells_of(line: TextLine) -> list[str]:
    """One row's texts, in the order of HEADINGS."""
    return [
        line.stack,
        f"{line.parameters:,}",
        spread(line.at_end, 3),
        "–" if line.at_equal_tokens is None else spread(line.at_equal_tokens, 3),
        f"{line.tokens:,.0f}",
        f"{line.tokens_per_second:,.0f}",
        "–" if line.writing is None else f"{line.writing.mean:,.0f}",
        "–" if line.peak_memory is None else f"{line.peak_memory / MEBIBYTE:,.0f}",
        f"{line.state_bits:,}" + ("" if line.recurrent else ", grows"),
        *measures([repetition_of(each.text) for each in line.written]),
    ]


def cells_of_corpus(part: TextPart) -> list[str]:
    """The last row: the corpus's own text in the columns that measure texts."""
    own = measures([repetition_of(part.own)])
    return [CORPUS, *[""] * (len(HEADINGS) - 1 - len(own)), *own]


def measures(found: Sequence[Repetition]) -> list[str]:
    """The three measures of some texts as percentages, with half of their intervals."""
    if not found:
        return ["–"] * 3
    columns = zip(*((each.distinct_1, each.distinct_2, each.repeated) for each in found), strict=True)
    return [spread(interval([100 * value for value in column], least=0, most=100), 1) for column in columns]


def notes_of(part: TextPart) -> list[str]:
    """What is equal in which column, and what is not."""
    counts = [line.parameters for line in part.lines]
    apart = max(counts) / min(counts) - 1
    if part.wall_clock:
        equal = [
            "Loss at the end: nats per byte on the test split after equal wall time.",
            f"Loss at equal tokens: nats per byte on the validation split after {part.equal_tokens:,.0f} tokens, which "
            "every run read, on the line between two evaluations. There a model that reads faster is in the midst of "
            "its schedule and the slowest at its end; with --steps every schedule ends at the same token. A dash: some "
            "seed had not been evaluated once by then.",
        ]
    else:
        equal = [
            "Loss at the end: nats per byte on the test split after equal tokens, read by equal schedules; in the next "
            "column, on the validation split. With --time, equal wall time."
        ]
    return [
        *equal,
        f"Parameters are within {100 * apart:.1f} % of each other.",
        "Words and word pairs that differ, and sequences of four words that stood before in the same text, as shares "
        "of a sample from each seed, which is as long as the corpus's own text in the last row. Peak memory is that of "
        "the process.",
    ]


def samples(part: TextPart) -> list[RenderableType]:
    """The prompt's end, how the corpus goes on, and what the first seed of each model wrote."""
    texts = [(CORPUS, part.own)]
    texts += [(line.stack, line.written[0].text) for line in part.lines if line.written]
    tables: list[RenderableType] = [Text(f"After {shown(part.prompt[-80:])!r}:", style="bold")]
    for start in range(0, len(texts), SIDE_BY_SIDE):
        group = texts[start : start + SIDE_BY_SIDE]
        table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), expand=True)
        for name, _ in group:
            table.add_column(Text(name), ratio=1, overflow="fold")
        table.add_row(*(Text(shown(text[:SHOWN])) for _, text in group))
        tables.append(table)
    return tables


def shown(text: str) -> str:
    """A text without what could steer a terminal, or turn the letters around it.

    >>> shown("a\\tb\\x1b[2J\\u202e")
    'a\\tb�[2J�'
    """
    return "".join(c if c in "\n\t" or c.isprintable() else "�" for c in text)
