"""Up to which size a model keeps an accuracy, as a table and in sentences: a bracket, not a grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from statewise.bounds import Bound
from statewise.report.summary import Row, Untested
from statewise.report.table import listed, notes, rate_line, share, title_of
from statewise.report.verdict import limit_of, percent
from statewise.tasks import Task

HEADINGS = (
    "model", "above\nat size", "token\nacc. %", "below\nat size", "token\nacc. %", "state\nbits", "forbidden\nat size",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Where the token accuracy of one model crosses a level.

    lines      one for each size that was tried: above and below the level, decided on the validation split
    accuracy   what decided: mean token accuracy over seeds on the validation split, at each size
    above      the largest size with at least the level; None where the least size tried is below it
    below      the smallest size with less; None where the largest size tried reaches it
    forbidden  the least size at which a proof forbids the level for this state, and the proof; None without one
    missing    the runs that gave no numbers, and why
    """

    task: Task
    stack: str
    level: float
    lines: Mapping[int, Row | Untested]
    accuracy: Mapping[int, float]
    above: int | None
    below: int | None
    forbidden: tuple[int, Bound] | None
    missing: tuple[str, ...]


def render_limits(limits: Sequence[Limit]) -> RenderableType:
    """A table for each task, the learning rates that were chosen, and what is missing."""
    tasks = dict.fromkeys(limit.task for limit in limits)
    tables = [table_of_limits(task, [limit for limit in limits if limit.task == task]) for task in tasks]
    lines = [line for limit in limits for line in limit.lines.values() if isinstance(line, Row)]
    said = [f"size {line.size}: {rate_line(line)}" for line in lines if len(line.selection.trials) > 1]
    missing = [text for limit in limits for text in limit.missing]
    said += ["Runs that are missing:", *(f"  {text}" for text in missing)] if missing else ["No run is missing."]
    return Group(*tables, *map(Text, [*said, *notes(())]))


def table_of_limits(task: Task, limits: Sequence[Limit]) -> Table:
    """One task's table."""
    sizes = [size for limit in limits for size in limit.lines]
    title = f"{title_of(task, sizes)}: where token accuracy crosses {percent(limits[0].level)}"
    table = Table(title=Text(title, style="bold"), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=heading != "model")
    for limit in limits:
        table.add_row(*map(Text, limit_cells(limit)))
    return table


def limit_cells(limit: Limit) -> list[str]:
    """One row's texts, in the order of HEADINGS."""
    sides = [(size, None if size is None else limit.lines[size]) for size in (limit.above, limit.below)]
    held = dict.fromkeys(f"{line.state_bits:,}" for _, line in sides if isinstance(line, Row))
    return [
        limit.stack,
        *(
            text
            for size, line in sides
            for text in (
                "–" if size is None else str(size),
                share(line.token_accuracy) if isinstance(line, Row) else "–",
            )
        ),
        " to ".join(held) or "–",
        "–" if limit.forbidden is None else str(limit.forbidden[0]),
    ]


def limit_sentence(limit: Limit) -> str:
    """Where one model crosses the level, what was tried, and what a proof says.

    Every accuracy in it is the mean over seeds on the validation split, which decided.
    """
    level = percent(limit.level)
    where = f"{limit.task.name}: {limit.stack}"
    if limit.above is None:
        found = f"{where} is below {level} of tokens at size {limit.below} already, the smallest tried"
    elif limit.below is None:
        found = f"{where} is still above {level} of tokens at size {limit.above}, the largest tried"
    else:
        found = f"{where} falls below {level} of tokens between sizes {limit.above} and {limit.below}"
    decided = listed([f"{size} ({percent(limit.accuracy[size])})" for size in sorted(limit.accuracy)])
    parts = [found, f"decided on the validation split at {'size' if len(limit.accuracy) == 1 else 'sizes'} {decided}"]
    untested = [str(size) for size, line in sorted(limit.lines.items()) if isinstance(line, Untested)]
    if untested:
        parts.append(f"no run finished at {listed(untested)}, which counts as below")
    guess = max(limit.task.chance(size) for size in limit.lines)
    if guess >= limit.level:
        parts.append(f"guessing gives {percent(guess)}, so that being above says little")
    if limit.forbidden is not None:
        size, bound = limit.forbidden
        parts.append(
            f"a proof forbids it at size {size} for this state: at most {limit_of(bound.value)} of answers right "
            f"({bound.source})"
        )
    return "; ".join(parts) + "."
