"""cures: state bits against the largest size that is solved, for a recurrent model as it is and for its three cures.

Associative recall: pairs of a key and a value, then one of the keys. What a recurrent reader must hold grows with the
number of pairs; what it can hold does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from statewise.bounds import required_bits
from statewise.models import ModelConfig
from statewise.runs import Result
from statewise.runs.findings import Chart, Curve, Findings, Grid, Published, Quantity
from statewise.search import ANSWERS
from statewise.studies.cures.accuracy import accuracy
from statewise.studies.run_config import EvaluationConfig, RunConfig
from statewise.studies.study import TOO_SHORT, Study, Trained
from statewise.tasks import AssociativeRecall, Task
from statewise.training import TrainingConfig

SOLVED = 0.95
"""Accuracy from which on a size counts as solved."""


@dataclass(frozen=True, kw_only=True)
class Cure:
    """One curve: a stack, and how it answers.

    answered  direct, chain-of-thought or retrieval
    """

    label: str
    stack: str
    answered: str = "direct"


RECURRENT, CHAIN, SEARCH = "recurrent", "+ chain of thought", "+ search"
HYBRID, ATTENTION = "+ one attention layer", "attention"

CURES = (
    Cure(label=RECURRENT, stack="lru*2"),
    Cure(label=CHAIN, stack="lru*2", answered="chain-of-thought"),
    Cure(label=SEARCH, stack="lru*2", answered="retrieval"),
    Cure(label=HYBRID, stack="lru+attention"),
    Cure(label=ATTENTION, stack="attention*2"),
)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the study is."""

    sizes: tuple[int, ...]
    widths: tuple[int, ...]
    steps: int
    seeds: tuple[int, ...]
    keys: int
    values: int = 8
    examples: int = 256


SCALES = {
    "smoke": Scale(sizes=(1, 2), widths=(8,), steps=5, seeds=(0,), keys=4, examples=16),
    "small": Scale(sizes=(1, 2, 4, 8, 16, 32), widths=(8, 16, 32), steps=2000, seeds=(0, 1, 2), keys=48),
    "paper": Scale(
        sizes=(1, 2, 4, 8, 16, 32, 64, 128, 256), widths=(8, 16, 32, 64, 128), steps=50_000, seeds=(0, 1, 2), keys=384
    ),
}


def plan(scale: str) -> list[RunConfig]:
    """Every cure at every width with every seed, the wide ones first."""
    asked = SCALES[scale]
    return [run for width in reversed(asked.widths) for cure in CURES for run in runs_of(asked, cure, width)]


def runs_of(asked: Scale, cure: Cure, width: int) -> list[RunConfig]:
    """One curve at one width."""
    bare = AssociativeRecall(keys=asked.keys, values=asked.values)
    task: Task = bare if cure.answered == "direct" else ANSWERS[cure.answered](bare)
    return [
        RunConfig(
            task=task.identity(),
            model=ModelConfig(
                vocabulary=task.vocabulary(asked.sizes[-1]),
                width=width,
                stack=cure.stack,
                conv=2,
                positions="rope",
            ),
            training=TrainingConfig(sizes=asked.sizes, steps=asked.steps, learning_rate=5e-3, evaluate_every=200),
            evaluation=EvaluationConfig(sizes=asked.sizes, examples=asked.examples, strings=0),
            seed=seed,
        )
        for seed in asked.seeds
    ]


@dataclass(frozen=True)
class Reached:
    """What one run came to: the largest size up to which every size is solved, 0 for none, and what it carried there.

    At size 0 the bits are those at the smallest size.
    """

    size: int
    state_bits: int
    searched_bits: int


def reached(results: Sequence[Result]) -> Reached:
    """Go up the ladder of sizes until one is not solved."""
    last, size = results[0], 0
    for result in results:
        if accuracy(result) < SOLVED:
            break
        last, size = result, result.size
    searched = 0 if last.free is None else last.free.searched_bits
    return Reached(size, last.state_bits, searched)


def read(scale: str, trained: Trained) -> Findings:
    """The chart, its numbers, and the claims at the smallest width."""
    asked = SCALES[scale]
    found = {
        (cure.label, width): [
            reached(trained.record(run).results) for run in trained.finished(runs_of(asked, cure, width))
        ]
        for cure in CURES
        for width in asked.widths
    }
    return Findings(
        grids=(grid_of(asked, found),),
        quantities=claims(scale, asked, found),
        charts=(chart_of(asked, found),),
        notes=(*NOTES, *trained.missing()),
    )


Found = dict[tuple[str, int], list[Reached]]


def grid_of(asked: Scale, found: Found) -> Grid:
    """A row for each curve and width: largest size solved by each seed, and the bits at it."""
    return Grid(
        title=f"Largest number of pairs solved (accuracy of at least {SOLVED:.0%} there and at every smaller size)",
        headings=("model", "width", "each seed", "state bits", "searched bits"),
        rows=tuple(
            (
                label,
                str(width),
                " ".join(str(each.size) for each in runs),
                span([each.state_bits for each in runs]),
                span([each.searched_bits for each in runs]),
            )
            for (label, width), runs in found.items()
        ),
    )


def span(numbers: Sequence[int]) -> str:
    """The smallest and the largest of some numbers.

    >>> span([1024, 2048]), span([3, 3]), span([])
    ('1,024–2,048', '3', '–')
    """
    if not numbers:
        return "–"
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def claims(scale: str, asked: Scale, found: Found) -> tuple[Quantity, ...]:
    """The theorems' order, at the smallest width: the largest size solved."""
    largest, width = asked.sizes[-1], asked.widths[0]
    full = Published(words=f"all, {largest}", known="derived: constant size is enough", low=float(largest))
    less = Published(words="not all", known="derived: for n large enough", high=largest - 1.0)
    published = {RECURRENT: less, CHAIN: less, SEARCH: full, HYBRID: full, ATTENTION: full}
    return tuple(
        Quantity(
            name=f"pairs solved, {cure.label}, width {width}",
            values=tuple(float(each.size) for each in found[cure.label, width]),
            published=published[cure.label],
            incomparable=TOO_SHORT if scale == "smoke" else "",
        )
        for cure in CURES
    )


def chart_of(asked: Scale, found: Found) -> Chart:
    """State bits against the largest size, and what a proof asks of every recurrent reader."""
    task = AssociativeRecall(keys=asked.keys, values=asked.values)
    bounds = [(bound.value, size) for size in asked.sizes if (bound := required_bits(task, size)) is not None]
    curves = [
        Curve(
            label=cure.label,
            points=tuple(
                (mean([each.state_bits for each in runs]), tuple(float(each.size) for each in runs))
                for width in asked.widths
                if (runs := found[cure.label, width])
            ),
        )
        for cure in CURES
    ]
    proved = Curve(
        label="proved limit",
        points=tuple((bits, (float(size),)) for bits, size in bounds),
    )
    return Chart(
        name="state",
        title="Associative recall: state and three ways around it",
        x_label="bits of state at the largest size solved",
        y_label="pairs solved",
        curves=(*curves, proved),
        linear=True,
    )


def mean(numbers: Sequence[int]) -> float:
    """The arithmetic mean of some numbers, at least one."""
    return sum(numbers) / len(numbers)


NOTES = (
    "State bits are counted after the pairs, before the query: caches of attention grow with the number of pairs, "
    "states of recurrent models do not. With search the text grows instead: its bits stand beside.",
    "Step by step, models run freely; sizes are those trained on, and keys are drawn from half as many again.",
    "Proved limit: no recurrent model is above it, with a chain of thought or without.",
    "The recurrent layer is the LRU, a linear RNN as in the theorems. minGRU below one attention layer did not learn "
    "this task in 2,000 steps at any width (one pair solved); with search it solved all sizes.",
    "A recurrent model that solves less than its bits allow has not learned to use them; only the line of the proof is "
    "a limit.",
)

STUDY = Study(
    name="cures",
    claim="What a recurrent state cannot hold, search or one attention layer retrieves; thinking aloud does not.",
    source="Wen, Dang, Lyu, arXiv 2402.18510, Theorems 4.6, 5.2 and 5.6; no experiment of this kind is published",
    times={"smoke": "5 s of CPU time", "small": "13 min on two cores that had other work"},
    plan=plan,
    read=read,
)
