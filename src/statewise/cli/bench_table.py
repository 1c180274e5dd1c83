"""The table of `statewise bench decode`, and what follows from it."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.table import Table

from statewise.studies.decode.contenders import LLAMA, MAMBA, OURS, Contender
from statewise.studies.decode.measuring import GENERATED, READ, REPEATED, SHORTER, ZEROS, Generated, Rounds
from statewise.studies.decode.ratios import FASTER, FLAT, crossover, flatness, paired, times_as_fast, tokens_per_second

MEBIBYTE = 2**20
HEADINGS = (
    "batch", "model", "parameters", "position", "tokens/s", "ms a step", "first token s", "peak MiB", "state bytes",
    "context",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One model at one position under one batch; see `statewise.studies.decode.measuring.weigh`.

    skipped  why it was not measured; None where it was
    """

    contender: Contender
    position: int
    parameters: int = 0
    first: float | None = None
    peak: int = 0
    state: int = 0
    how: str = READ
    skipped: str | None = None


@dataclass(frozen=True, kw_only=True)
class Timed:
    """All of one batch."""

    batch: int
    cells: list[Cell]
    rounds: Rounds
    generated: Generated = field(default_factory=dict)

    def of(self, architecture: str) -> list[Contender]:
        """Contenders of ours, or of an architecture of transformers, that were measured."""
        found = {cell.contender.label: cell.contender for cell in self.cells if cell.skipped is None}
        return [each for each in found.values() if each.architecture == architecture]


def table_of(timed: Sequence[Timed]) -> Table:
    """A line for each cell."""
    table = Table(*HEADINGS, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column, heading in zip(table.columns, HEADINGS, strict=True):
        column.justify = "left" if heading in ("model", "context") else "right"
        column.no_wrap = heading != "context"
    for each in timed:
        for place, cell in enumerate(each.cells):
            following = each.cells[place + 1 : place + 2]
            table.add_row(
                *cells_of(cell, each),
                end_section=not following or following[0].contender.label != cell.contender.label,
            )
    return table


def cells_of(cell: Cell, timed: Timed) -> list[str]:
    """The texts of a line, in the order of HEADINGS."""
    named = [str(timed.batch), cell.contender.label]
    if cell.skipped is not None:
        return [*named, "", f"{cell.position:,}", *["–"] * 5, f"left out: {cell.skipped}"]
    seconds = statistics.median(timed.rounds[cell.contender.label][cell.position])
    return [
        *named,
        f"{cell.parameters:,}",
        f"{cell.position:,}",
        f"{tokens_per_second(timed.batch, timed.rounds, cell.contender.label, cell.position):,.0f}",
        f"{1e3 * seconds:,.3g}",
        "–" if cell.first is None else f"{cell.first:,.3g}",
        f"{cell.peak / MEBIBYTE:,.1f}",
        f"{cell.state:,}",
        cell.how,
    ]


def findings(timed: Sequence[Timed]) -> Iterator[str]:
    """Lines on each batch: where recurrent models become faster than attention, and whether the goals are met."""
    for each in timed:
        recurrent = [one for one in each.of(OURS) if one.kind == "recurrent"]
        yield from (f"batch {each.batch}: {line}" for line in crossings(each, recurrent))
        yield from (f"batch {each.batch}: {line}" for line in flat_lines(each, recurrent))
        yield from (f"batch {each.batch}: {line}" for line in beside_theirs(each, recurrent))
        yield from (f"batch {each.batch}: {line}" for line in by_generate(each))


def crossings(timed: Timed, recurrent: Sequence[Contender]) -> Iterator[str]:
    """From which position on each recurrent model is faster than each of attention."""
    for attention in (one for one in timed.of(OURS) if one.kind == "attention"):
        for one in recurrent:
            under, over = timed.rounds[one.label], timed.rounds[attention.label]
            both = sorted(set(under) & set(over))
            at = crossover(under, over)
            if not both:
                continue
            where = (
                f"is not faster than {attention.label} up to position {both[-1]:,}"
                if at is None
                else f"is faster than {attention.label} at every position from {both[0]:,} on"
                if at == both[0]
                else f"is faster than {attention.label} from position {at:,.0f} on (crossover)"
            )
            yield f"{one.label} {where}"


def flat_lines(timed: Timed, recurrent: Sequence[Contender]) -> Iterator[str]:
    """Whether steps of recurrent models take the same time at every position."""
    for one in recurrent:
        found = flatness(timed.rounds[one.label])
        if found is not None:
            first, last, ratio = found
            yield (
                f"{one.label}: a step at {last:,} takes {ratio:.3f} × the time of one at {first:,}; "
                f"goal at most {FLAT}: {verdict(ratio <= FLAT)}"
            )


def beside_theirs(timed: Timed, recurrent: Sequence[Contender]) -> Iterator[str]:
    """Tokens per second of ours over theirs: recurrent models beside Mamba, attention beside Llama."""
    for theirs in timed.of(MAMBA):
        for one in recurrent:
            ratio = statistics.median(times_as_fast(timed.rounds[one.label], timed.rounds[theirs.label]).values())
            yield (
                f"{one.label}: {ratio:.2f} × the tokens/s of {theirs.label}, median over positions; "
                f"goal at least {FASTER:g}: {verdict(ratio >= FASTER)}"
            )
    for theirs in timed.of(LLAMA):
        for one in (one for one in timed.of(OURS) if one.kind == "attention"):
            by_position = times_as_fast(timed.rounds[one.label], timed.rounds[theirs.label])
            said = ", ".join(f"{ratio:.2f} at {position:,}" for position, ratio in by_position.items())
            yield f"{one.label}: × the tokens/s of {theirs.label}: {said}"


def by_generate(timed: Timed) -> Iterator[str]:
    """Tokens per second of every model by `generate`, and of ours over each of transformers'."""
    theirs = [one.label for architecture in (MAMBA, LLAMA) for one in timed.of(architecture)]
    for label, seconds in timed.generated.items():
        rate = timed.batch / statistics.median(seconds)
        ratios = "".join(
            f", {paired(timed.generated[other], seconds):.2f} × {other}" for other in theirs if label not in theirs
        )
        yield f"{label}: {rate:,.0f} tokens/s by generate, {GENERATED} tokens after a short prompt{ratios}"


def verdict(met: bool) -> str:
    """In one word.

    >>> verdict(True), verdict(False)
    ('met', 'missed')
    """
    return "met" if met else "missed"


MEANINGS = {
    READ: "the position was reached by reading so many tokens",
    REPEATED: "one sequence was read to the position, and its state repeated for the batch",
    SHORTER: "a state that does not grow, after fewer tokens, since so many are above --read or --read-slowly",
    ZEROS: "a cache of zeros of that length, since so many tokens are above --read or --read-slowly",
}


def notes(timed: Sequence[Timed], *, absent: bool) -> Iterator[str]:
    """What the columns are, and how positions were reached.

    absent  transformers was asked for and is not installed
    """
    yield "Tokens/s: of the whole batch, greedy, medians over rounds in which models and positions take turns; ratios"
    yield "are medians of those within a round. First token: reading the context and choosing the token after it."
    yield "Peak: what a process of its own held at most beyond itself and the model. State bytes: of one sequence."
    used = {cell.how for each in timed for cell in each.cells if cell.skipped is None}
    for how in MEANINGS:
        if how in used:
            yield f"Context {how}: {MEANINGS[how]}."
    if absent:
        yield "Not beside transformers, which is not installed: pip install 'statewise[hf]'"
    else:
        yield "In the table transformers' models are asked step by step, without what their generate does besides."
