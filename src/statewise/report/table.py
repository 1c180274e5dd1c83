"""The table and the conclusions for a terminal."""

import math
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from statewise.report.interval import Interval
from statewise.report.summary import Row, Summary
from statewise.report.verdict import SOLVED_AT, percent
from statewise.tasks import Task

STYLES = {
    "solved": "green",
    "partly": "yellow",
    "cannot": "red",
    "not-always": "red",
    "has-room": "",
    "no-rule": "",
}


def render(summary: Summary) -> RenderableType:
    """A table for each task, and a line on the runs that are missing."""
    parts: list[RenderableType] = [table_of(task, rows) for task, rows in rows_by_task(summary)]
    parts.append(Text(missing_line(summary)))
    return Group(*parts)


def rows_by_task(summary: Summary) -> Iterator[tuple[Task, list[Row]]]:
    """Tasks in order, each with its rows."""
    for task in summary.tasks:
        yield task, [row for row in summary.rows if row.task == task]


def headings(task: Task) -> list[str]:
    """Column titles: with a rule accuracy counts, without one the loss."""
    if task.measure != "accuracy":
        return ["model", "size", "nats per token", "token acc. %", "state bits", "train s"]
    return [
        "model", "size", "token acc. %", "sequence acc. %",
        "recovered bits", "state bits", "required bits", "verdict", "train s",
    ]  # fmt: skip


def cells(row: Row) -> list[str]:
    """One row's texts, in the order of `headings`."""
    if row.task.measure != "accuracy":
        return [
            row.stack, str(row.size), spread(row.loss, 3), share(row.token_accuracy),
            f"{row.state_bits:,}", f"{row.seconds:.1f}",
        ]  # fmt: skip
    assert row.required_bits is not None
    return [
        row.stack,
        str(row.size),
        share(row.token_accuracy),
        share(row.sequence_accuracy),
        "–" if row.recovered is None else spread(row.recovered, 0),
        f"{row.state_bits:,}",
        f"{row.required_bits:,.4g}" if row.required_bits < 1000 else f"{row.required_bits:,.0f}",
        row.verdict.text,
        f"{row.seconds:.1f}",
    ]


def table_of(task: Task, rows: list[Row]) -> Table:
    """One task's table."""
    title = Text(title_of(task, [row.size for row in rows]), style="bold")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in headings(task):
        left = heading in ("model", "verdict")
        table.add_column(heading, justify="left" if left else "right", no_wrap=not left, overflow="fold")
    for i, row in enumerate(rows):
        last = i + 1 == len(rows) or rows[i + 1].stack != row.stack
        texts = [Text(text) for text in cells(row)]
        for text, heading in zip(texts, headings(task), strict=True):
            if heading == "verdict":
                text.stylize(STYLES[row.verdict.kind])
        table.add_row(*texts, end_section=last)
    return table


def title_of(task: Task, sizes: Sequence[int]) -> str:
    """The task with its settings, and what guessing gives at the smallest and the largest size.

    >>> from statewise.tasks import EvenPairs, Parity
    >>> title_of(EvenPairs(), [1, 8]), title_of(Parity(), [4, 8])
    ('even-pairs (chance 100 % to 50.0 %)', 'parity (every_prefix True; chance 50.0 %)')
    """
    settings = ", ".join(f"{key} {value}" for key, value in task.identity().items() if key not in ("name", "sha256"))
    ends = (min(sizes), max(sizes)) if task.measure == "accuracy" and sizes else ()
    guesses = dict.fromkeys(percent(task.chance(size)) for size in ends)
    guess = f"chance {' to '.join(guesses)}" if guesses else ""
    return f"{task.name} ({'; '.join(filter(None, (settings, guess)))})"


def share(value: Interval) -> str:
    """An accuracy in percent, and half of its interval's width.

    >>> share(Interval(mean=0.5, half=0.1, low=0.4, high=0.6, count=3))
    '50.0 ±10.0'
    """
    mean = percent(value.mean).removesuffix(" %")
    return mean if math.isnan(value.half) else f"{mean} ±{100 * value.half:.1f}"


def spread(value: Interval, digits: int) -> str:
    """A mean, and half of its interval's width.

    >>> spread(Interval(mean=-0.2, half=0.4, low=-0.6, high=0.2, count=3), 0)
    '0 ±0'
    """
    mean = f"{round(value.mean, digits) + 0.0:,.{digits}f}"
    return mean if math.isnan(value.half) else f"{mean} ±{value.half:,.{digits}f}"


def share_of(part: float, whole: float) -> str:
    """A quotient in percent, at least 0; a dash over nothing.

    >>> share_of(1.0, 8.0), share_of(-0.1, 8.0), share_of(1.0, 0.0)
    ('12.5 %', '0.0 %', '–')
    """
    return f"{100 * max(0.0, part) / whole:.1f} %" if whole else "–"


def missing_line(summary: Summary) -> str:
    """How many runs gave no numbers, and why."""
    count = len(summary.records)
    if not summary.missing:
        return f"No run is missing: {count} of {count} finished."
    return f"{len(summary.missing)} of {count} runs are missing:\n" + "\n".join(f"  {line}" for line in summary.missing)


def conclusions(summary: Summary) -> list[str]:
    """The verdict in sentences: for each task and model, what it solved and what a proof says of the rest.

    The 95 % intervals of the table are Student's t over seeds.
    """
    lines = []
    for task, rows in rows_by_task(summary):
        stacks = dict.fromkeys(row.stack for row in rows)
        lines += [sentence(task, stack, [row for row in rows if row.stack == stack]) for stack in stacks]
    return lines


def sentence(task: Task, stack: str, rows: list[Row]) -> str:
    """One model on one task in a few words, sizes with the same verdict together."""
    where = f"{task.name}: {stack}"
    if task.measure != "accuracy":
        best = min(rows, key=lambda row: row.loss.mean)
        return f"{where} reaches {best.loss.mean:.3f} nats per token at size {best.size}."
    sizes = {kind: [row for row in rows if row.verdict.kind == kind] for kind in STYLES}
    parts = [f"{where} solves {sizes_of(sizes['solved'])}" if sizes["solved"] else f"{where} solves no size"]
    if sizes["partly"]:
        parts.append(f"some seeds solve {sizes_of(sizes['partly'])}")
    if sizes["has-room"]:
        tried = listed([f"{rate:g}" for rate in rows[0].learning_rates])
        parts.append(f"it has room for {sizes_of(sizes['has-room'])} and did not learn it at learning rate {tried}")
    for row in sizes["cannot"] + sizes["not-always"]:
        assert row.required_bits is not None
        parts.append(
            f"at {row.size} it {row.verdict.text}, since its state has {row.state_bits:,} bits and "
            f"{row.required_bits:,.0f} are required"
        )
    if any(row.verdict.never_everywhere for row in rows):
        parts.append("a proof says that no stack of its kind is right at all lengths")
    return "; ".join(parts) + "."


def sizes_of(rows: list[Row]) -> str:
    """The sizes of some rows, as in "sizes 16 and 64"."""
    return ("size " if len(rows) == 1 else "sizes ") + listed([str(row.size) for row in rows])


def listed(words: list[str]) -> str:
    """Words joined as in a sentence.

    >>> listed(["16", "64", "256"])
    '16, 64 and 256'
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def threshold_note() -> str:
    """What "solved" means."""
    return f"Solved: every seed gets at least {SOLVED_AT:.0%} of unseen sequences entirely right."
