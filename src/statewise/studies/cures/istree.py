"""istree: one task answered at once, after a chain of thought, and after searches, by four kinds of models.

Step by step, models run freely: nothing but the prompt is given, and the tool is really asked.
"""

from dataclasses import dataclass

from statewise.models import ModelConfig
from statewise.runs import Result
from statewise.runs.findings import Chart, Curve, Findings, Grid, Mark, Published, Quantity
from statewise.search import ANSWERS
from statewise.studies.cures.accuracy import accuracy
from statewise.studies.run_config import EvaluationConfig, RunConfig
from statewise.studies.study import TOO_SHORT, Study, Trained
from statewise.tasks import IsTree, Task
from statewise.training import TrainingConfig

DIRECT, CHAIN, SEARCHES = "direct", "chain-of-thought", "retrieval"

GUESSING = 0.6
"""Accuracy up to which a model counts as guessing: a coin is above it in 0.2 % of 200 questions."""

NEAR_ONE = 0.9
"""Accuracy from which on a model counts as near 1."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of model, at two sizes.

    small, paper  about 0.2 and 0.5 million parameters
    searching     the small one where it searches, if that is another
    chain         the paper's accuracies after a chain of thought at n = 16, 32, 64, 128, of 0.5 million; None where
                  it has no such model
    rate          the paper's learning rate
    walks         steps of training on chains of thought at small
    searches      the same on searches
    """

    label: str
    small: ModelConfig
    paper: ModelConfig
    chain: tuple[float, ...] | None = None
    searching: ModelConfig | None = None
    rate: float = 3e-4
    walks: int = 5000
    searches: int = 1000


def stack_of(stack: str, **settings: object) -> ModelConfig:
    """A configuration whose vocabulary is still to be set."""
    return ModelConfig(vocabulary=1, stack=stack, **settings)  # type: ignore[arg-type]


KINDS = (
    Kind(
        label="Mamba",
        small=stack_of("mamba*2", width=80),
        paper=stack_of("mamba*16", width=64, feed_forward=0),
        chain=(0.84, 0.55, 0.50, 0.50),
    ),
    Kind(
        label="Transformer",
        small=stack_of("attention*4", width=64, positions="rope"),
        searching=stack_of("attention*4", width=64, positions="rope", mixer_settings=("head_size=16",)),
        paper=stack_of("attention*8", width=64, positions="rope", mixer_settings=("head_size=16",)),
        chain=(1.00, 1.00, 0.975, 0.69),
        rate=1e-3,
        searches=1500,
    ),
    Kind(
        label="hybrid",
        small=stack_of("mingru+attention", width=104, positions="rope", conv=4, expansion=2, feed_forward=2),
        paper=stack_of("mamba*12+attention", width=64, positions="rope", mixer_settings=("head_size=16",)),
        chain=(1.00, 1.00, 0.97, 0.77),
        walks=10_000,
    ),
    Kind(
        label="minGRU",
        small=stack_of("mingru*4", width=64, conv=4),
        paper=stack_of("mingru*10", width=64, conv=4),
    ),
)
PUBLISHED_SIZES = (16, 32, 64, 128)
KNOWN = "measured from pixels of the paper's figure, ±0.005"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the study is.

    trained   groups of sizes: each group is trained together, as one model
    asked     sizes that every model is asked at; None is the sizes it is trained on
    names     that vertices are drawn from; None is 0 … size − 1
    steps     for each format, in place of a kind's own
    batches   for each format
    """

    trained: tuple[tuple[int, ...], ...]
    asked: tuple[int, ...] | None
    names: int | None
    steps: dict[str, int]
    batches: dict[str, int]
    rate: float | None
    warmup: int
    weight_decay: float
    clip: float
    examples: int


SCALES = {
    "smoke": Scale(
        trained=((4, 5),),
        asked=(4, 6),
        names=6,
        steps={DIRECT: 3, CHAIN: 3, SEARCHES: 2},
        batches={DIRECT: 8, CHAIN: 8, SEARCHES: 4},
        rate=3e-3,
        warmup=1,
        weight_decay=0.01,
        clip=1.0,
        examples=8,
    ),
    "small": Scale(
        trained=(tuple(range(4, 17)),),
        asked=(8, 12, 16, 24, 32),
        names=32,
        steps={DIRECT: 1000},
        batches={DIRECT: 64, CHAIN: 64, SEARCHES: 32},
        rate=3e-3,
        warmup=100,
        weight_decay=0.01,
        clip=1.0,
        examples=200,
    ),
    "paper": Scale(
        trained=tuple((size,) for size in PUBLISHED_SIZES),
        asked=None,
        names=None,
        steps=dict.fromkeys((DIRECT, CHAIN, SEARCHES), 78_125),
        batches=dict.fromkeys((DIRECT, CHAIN, SEARCHES), 64),
        rate=None,
        warmup=156,
        weight_decay=0.0,
        clip=1e9,
        examples=5000,
    ),
}


def task_of(asked: Scale, answered: str) -> Task:
    """The task in one of the three formats."""
    bare = IsTree(names=asked.names)
    return bare if answered == DIRECT else ANSWERS[answered](bare)


def run_of(scale: str, kind: Kind, answered: str, trained: tuple[int, ...]) -> RunConfig:
    """One model in one format."""
    asked = SCALES[scale]
    task, sizes = task_of(asked, answered), asked.asked or trained
    small = kind.searching if answered == SEARCHES and kind.searching is not None else kind.small
    config = kind.paper if scale == "paper" else small
    return RunConfig(
        task=task.identity(),
        model=ModelConfig(**{**vars(config), "vocabulary": task.vocabulary(max(*sizes, *trained))}),
        training=TrainingConfig(
            sizes=trained,
            steps={CHAIN: kind.walks, SEARCHES: kind.searches, **asked.steps}[answered],
            batch_size=asked.batches[answered],
            learning_rate=asked.rate or kind.rate,
            warmup=asked.warmup,
            weight_decay=asked.weight_decay,
            clip=asked.clip,
            evaluate_every=250,
            validation=64,
        ),
        evaluation=EvaluationConfig(sizes=sizes, examples=asked.examples, strings=0),
        seed=0,
    )


def plan(scale: str) -> list[RunConfig]:
    """Every kind in every format, the long runs first."""
    return [
        run_of(scale, kind, answered, trained)
        for answered in (CHAIN, SEARCHES, DIRECT)
        for kind in KINDS
        for trained in SCALES[scale].trained
    ]


def read(scale: str, trained: Trained) -> Findings:
    """A table for each format, the claims, and a chart of the chains of thought."""
    measured = {
        (answered, kind.label): results_of(scale, trained, kind, answered)
        for answered in (DIRECT, CHAIN, SEARCHES)
        for kind in KINDS
    }
    return Findings(
        grids=tuple(grid_of(answered, measured) for answered in (DIRECT, CHAIN, SEARCHES)),
        quantities=claims(scale, measured),
        charts=tuple(chart_of(scale, answered, measured) for answered in (DIRECT, CHAIN, SEARCHES)),
        notes=(*order_of(measured), *NOTES, *trained.missing()),
    )


Measured = dict[tuple[str, str], dict[int, Result]]
"""For each format and label the results by size; none where a run did not finish."""


def results_of(scale: str, trained: Trained, kind: Kind, answered: str) -> dict[int, Result]:
    """What one kind came to in one format, at every size."""
    runs = [run_of(scale, kind, answered, sizes) for sizes in SCALES[scale].trained]
    found = (result for run in trained.finished(runs) for result in trained.record(run).results)
    return {result.size: result for result in found}


def grid_of(answered: str, measured: Measured) -> Grid:
    """Kinds against sizes, and the paper's lines below them."""
    rows = {kind.label: measured[answered, kind.label] for kind in KINDS}
    sizes = sorted({size for results in rows.values() for size in results})
    columns = tuple(dict.fromkeys((*sizes, *PUBLISHED_SIZES)))
    ours = [
        (label, *(cell(results[size]) if size in results else "" for size in columns))
        for label, results in rows.items()
    ]
    theirs = [
        (f"paper, {kind.label} 0.5M", *(published_cell(answered, kind, size) for size in columns))
        for kind in KINDS
        if kind.chain is not None
    ]
    return Grid(
        title=TITLES[answered],
        headings=("accuracy", *(f"n = {size}" for size in columns)),
        rows=(*ours, *theirs),
    )


TITLES = {
    DIRECT: "Answered at once",
    CHAIN: "After a chain of thought: run freely (no answer as a half | teacher forcing)",
    SEARCHES: "After searches: run freely (no answer as a half | teacher forcing)",
}


def cell(result: Result) -> str:
    """Accuracy, and for what is run freely the two other ways to score it."""
    if result.free is None:
        return f"{accuracy(result):.3f}"
    return f"{result.free.accuracy:.2f} ({result.free.half_for_none:.2f} | {result.free.forced:.2f})"


def published_cell(answered: str, kind: Kind, size: int) -> str:
    """What the paper has at its sizes."""
    if size not in PUBLISHED_SIZES:
        return ""
    if answered == CHAIN:
        assert kind.chain is not None
        return f"{kind.chain[PUBLISHED_SIZES.index(size)]:.2f}"
    return "0.48–0.52" if answered == DIRECT else "≥ 0.995"


def claims(scale: str, measured: Measured) -> tuple[Quantity, ...]:
    """What the paper says, at the largest size that is trained and one that it has: n = 16."""
    incomparable = TOO_SHORT if scale == "smoke" else ""
    at = {key: results[16] for key, results in measured.items() if 16 in results}

    def quantity(name: str, values: list[float], published: Published, chosen: object) -> Quantity:
        return Quantity(
            name=name,
            values=(float(chosen(values)),) if values else (),  # type: ignore[operator]
            published=published,
            incomparable=incomparable,
        )

    direct = [accuracy(at[DIRECT, kind.label]) for kind in KINDS if (DIRECT, kind.label) in at]
    searched = [accuracy(at[SEARCHES, kind.label]) for kind in KINDS if (SEARCHES, kind.label) in at]
    chains = {kind: accuracy(at[CHAIN, kind.label]) for kind in KINDS if (CHAIN, kind.label) in at}
    return (
        quantity("at once: best of all, n = 16", direct, Published(value=0.52, known=KNOWN, high=GUESSING), max),
        *(
            Quantity(
                name=f"chain of thought: {kind.label}, n = 16",
                values=(value,),
                published=None if kind.chain is None else chain_published(kind),
                incomparable=incomparable,
            )
            for kind, value in chains.items()
        ),
        quantity("searches: worst of all, n = 16", searched, Published(value=0.995, known=KNOWN, low=NEAR_ONE), min),
    )


def chain_published(kind: Kind) -> Published:
    """The paper's value at n = 16: near 1 where it is, below that where it is not."""
    assert kind.chain is not None
    value = kind.chain[0]
    return (
        Published(value=value, known=KNOWN, low=NEAR_ONE)
        if value >= NEAR_ONE
        else Published(value=value, known=KNOWN, high=NEAR_ONE)
    )


def order_of(measured: Measured) -> list[str]:
    """Whether the paper's order came out, format by format, at sizes that were trained."""
    sizes = [size for size in (8, 12, 16) if all(size in results for results in measured.values())]
    if not sizes:
        return []
    lines = []
    for answered in (DIRECT, CHAIN, SEARCHES):
        said = "; ".join(
            f"{kind.label} " + ", ".join(f"{accuracy(measured[answered, kind.label][size]):.2f}" for size in sizes)
            for kind in KINDS
        )
        lines.append(f"{answered}, n = {', '.join(map(str, sizes))}: {said}.")
    return lines


NOTES = (
    "One seed for each model: differences of a few per cent say nothing, and no value is compared with the paper's.",
    "Run freely: greedy, from the prompt alone, searches by the regular-expression tool; the first token after the "
    "mark of the answer counts, and no answer is wrong. The paper counts no answer as a half, and seems to score "
    "searches by teacher forcing. 'Teacher forcing' here is the answer alone after the solver's own trace.",
    "At small chains of thought are trained for 5,000 steps of 64, the hybrid's for 10,000; searches for 1,000 steps "
    "of 32, the Transformer's for 1,500. Models of 0.2 million parameters are trained on mixed n "
    "from 4 to 16 with vertices named by any of 32 numbers, so that n = 24 and 32 are lengths never trained, but not "
    "names never seen. The paper trains each n apart, with vertices 0 … n − 1, on a million graphs.",
    "At small the Transformer has one head of 64 channels, and four of 16 where it searches: of one head its searches, "
    "and of four its walks, were not learned in these steps.",
    "The hybrid is one wide layer of minGRU below one of attention, the paper's is twelve of Mamba below one. Its "
    "embedding is frozen and tied, ours is trained.",
    "The states of these models hold far more than the n log n bits of a tree: where a recurrent model fails it has "
    "not learned, and the theorem's bound is not what stops it.",
    "A walk that comes back to its root without a cycle has seen every vertex, or one star of two: which, only their "
    "count says. One that cannot count and says yes there is right on three quarters of the examples.",
)


def chart_of(scale: str, answered: str, measured: Measured) -> Chart:
    """Accuracy against n."""
    return Chart(
        name=answered,
        title=f"IsTree, {answered.replace('-', ' ')}",
        x_label="vertices n",
        y_label="accuracy of the answer",
        linear=True,
        marks=(
            Mark(label="guessing", axis="y", at=0.5),
            Mark(label="longest trained", axis="x", at=max(map(max, SCALES[scale].trained))),
        ),
        curves=tuple(
            Curve(
                label=kind.label,
                points=tuple(
                    (size, (accuracy(result),)) for size, result in sorted(measured[answered, kind.label].items())
                ),
            )
            for kind in KINDS
        ),
    )


STUDY = Study(
    name="istree",
    claim="Answered at once every model guesses; a chain of thought helps where there is attention; searches help all.",
    source="Wen, Dang, Lyu, arXiv 2402.18510, §5 and appendix B; values measured from its figure",
    times={
        "smoke": "8 s of CPU time",
        "small": "about 100 min on two cores that had other work, one seed; not run whole as it is",
    },
    plan=plan,
    read=read,
    one_seed="twelve models of minutes each on two cores",
)
