"""separations-width: Mamba looks up more places the wider it is, and fewer than one narrow attention layer.

Figure 3 of the paper: the task of `separations-index-lookup`, two layers of Mamba, one attention layer beside them.
"""

from dataclasses import dataclass
from itertools import pairwise

from statewise.bounds import required_bits
from statewise.runs.findings import Chart, Curve, Findings, Grid, Mark, Published, Quantity
from statewise.studies.best_setting import at_best_setting
from statewise.studies.run_config import RunConfig
from statewise.studies.separations.contenders import PAPER, Budget, Contender, recurrent, runs_of, transformer
from statewise.studies.separations.heat_map import WORDS_ALONE, bits_of, spread, token_accuracy
from statewise.studies.separations.index_lookup import SHORTEST, TRANSFORMER
from statewise.studies.study import TOO_SHORT, Study, Trained
from statewise.tasks import IndexLookup

NO_FALL = -0.02
"""Least change of accuracy from one width to the next that still counts as rising: fixed before looking."""

BELOW = 0.1
"""Accuracy that "well below" has to mean at least: fixed before looking."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the study is.

    lengths  N: a model for each, trained on strings of 10 … N symbols, asked at N
    widths   of the two layers of Mamba
    heads    of the attention layer, whose width is 64
    queries  of each string
    """

    lengths: tuple[int, ...]
    widths: tuple[int, ...]
    heads: tuple[int, ...]
    budget: Budget
    queries: int = 1
    alphabet: int = 64


SCALES = {
    "smoke": Scale(
        lengths=(12,),
        widths=(8, 16),
        heads=(4,),
        budget=Budget(steps=2, rates=(5e-3,), seeds=(0,), batch_size=4, validation=8, examples=8),
        queries=2,
    ),
    "small": Scale(
        lengths=(100,),
        widths=(8, 16, 32, 64, 128),
        heads=(4,),
        budget=Budget(steps=500, rates=(5e-3,), seeds=(0, 1, 2), batch_size=16),
        queries=48,
    ),
    "paper": Scale(lengths=(20, 50, 100, 200, 400), widths=(32, 64, 256, 512, 1024), heads=(4, 8), budget=PAPER),
}


def mamba(width: int) -> Contender:
    """Two layers."""
    return recurrent("mamba", (2,), (width,))


def task_of(asked: Scale) -> IndexLookup:
    """The task of a scale."""
    return IndexLookup(alphabet=asked.alphabet, queries=asked.queries)


def cell(asked: Scale, contender: Contender, length: int) -> list[RunConfig]:
    """The runs of one model at one length."""
    return runs_of(asked.budget, contender, task_of(asked), sizes=range(SHORTEST, length + 1), size=length)


def attention(asked: Scale) -> Contender:
    """The model that the widths are seen against."""
    return transformer(TRANSFORMER, layers=1, width=64, heads=asked.heads)


def plan(scale: str) -> list[RunConfig]:
    """Every width at every length, the long and wide ones first, then attention."""
    asked = SCALES[scale]
    contenders = [*map(mamba, reversed(asked.widths)), attention(asked)]
    return [
        run for length in reversed(asked.lengths) for contender in contenders for run in cell(asked, contender, length)
    ]


def read(scale: str, trained: Trained) -> Findings:
    """Accuracy and bits by width, the claims at the largest length, and the chart."""
    asked = SCALES[scale]
    curves = tuple(curve_of(asked, trained, length) for length in asked.lengths)
    narrow = {length: accuracies(trained, cell(asked, attention(asked), length)) for length in asked.lengths}
    return Findings(
        grids=(grid_of(asked, trained, curves),),
        quantities=claims(scale, asked, curves[-1], narrow[asked.lengths[-1]]),
        charts=(
            Chart(
                name="accuracy",
                title="Index lookup by two layers of Mamba",
                x_label="width",
                y_label="accuracy, test split",
                curves=curves,
                marks=tuple(
                    Mark(label=f"{TRANSFORMER} of width 64, N = {length}", axis="y", at=sum(values) / len(values))
                    for length, values in narrow.items()
                    if values
                ),
                linear=True,
            ),
        ),
        notes=(*NOTES, *trained.missing()),
    )


def accuracies(trained: Trained, runs: list[RunConfig]) -> tuple[float, ...]:
    """Test accuracy of the best setting, one value for each seed."""
    return tuple(token_accuracy(trained.record(run).results[0]) for run in at_best_setting(trained, runs))


def curve_of(asked: Scale, trained: Trained, length: int) -> Curve:
    """Accuracy against width at one length."""
    return Curve(
        label=f"N = {length}",
        points=tuple((float(width), accuracies(trained, cell(asked, mamba(width), length))) for width in asked.widths),
    )


def grid_of(asked: Scale, trained: Trained, curves: tuple[Curve, ...]) -> Grid:
    """A row for each width: its state, and its accuracy at each length; what a proof asks for above."""
    required = (f"required: {required_bits(task_of(asked), length).value:,.0f}" for length in asked.lengths)
    rows = (
        (str(width), state_of(asked, trained, width), *(spread(curve.points[place][1]) for curve in curves))
        for place, width in enumerate(asked.widths)
    )
    return Grid(
        title="Accuracy at N by width: mean (each seed); above, the bits that every recurrent reader needs",
        headings=("width", "state bits", *(curve.label for curve in curves)),
        rows=(("", "", *required), *rows),
    )


def state_of(asked: Scale, trained: Trained, width: int) -> str:
    """Bits of two layers of this width, which are the same at every length."""
    runs = trained.finished(cell(asked, mamba(width), asked.lengths[-1]))
    return bits_of([trained.record(run).results[0] for run in runs])


def claims(scale: str, asked: Scale, curve: Curve, narrow: tuple[float, ...]) -> tuple[Quantity, ...]:
    """What the paper says: accuracy rises with width, and stays well below that of one attention layer."""
    length, seeds = asked.lengths[-1], len(asked.budget.seeds)
    by_width = [values for _, values in curve.points]
    whole = all(len(values) == seeds for values in (*by_width, narrow))
    steps = (
        tuple(min(wide - slim for slim, wide in pairwise(each)) for each in zip(*by_width, strict=True))
        if whole
        else ()
    )
    behind = tuple(high - low for high, low in zip(narrow, by_width[-1], strict=True)) if whole else ()
    incomparable = TOO_SHORT if scale == "smoke" else ""
    return (
        Quantity(
            name=f"least change of accuracy to the next width, N = {length}",
            values=steps,
            published=Published(words="rises with every width", known=WORDS_ALONE, low=NO_FALL),
            incomparable=incomparable,
        ),
        Quantity(
            name=f"accuracy of the widest minus the narrowest, N = {length}",
            values=tuple(wide - slim for slim, wide in zip(by_width[0], by_width[-1], strict=True)) if whole else (),
            published=Published(words="rises", known=WORDS_ALONE, low=BELOW),
            incomparable=incomparable,
        ),
        Quantity(
            name=f"accuracy of one attention layer minus the widest Mamba, N = {length}",
            values=behind,
            published=Published(words="well above it", known=WORDS_ALONE, low=BELOW),
            incomparable=incomparable,
        ),
    )


NOTES = (
    "Every width here carries more bits than the string has: what rises with width is how well it is learned, not "
    "what a proof allows.",
    "At small: strings of 10 to 100 symbols, 48 queries of each, 500 steps of 16 strings, one rate for all widths. At "
    "paper every width has the best of seven rates, chosen on the validation split. The paper also says that LSTMs "
    "stay at chance above 100 symbols at any width, which `separations-index-lookup` asks.",
)

STUDY = Study(
    name="separations-width",
    claim="Two layers of Mamba look up more places the wider they are, and fewer than one narrow attention layer.",
    source="Bhattamishra, Hahn, Blunsom, Kanade, arXiv 2406.09347, appendix, Figure 3; known in words",
    times={"smoke": "3 s of CPU time", "small": "7 min on two cores, estimated from a few steps"},
    plan=plan,
    read=read,
)
