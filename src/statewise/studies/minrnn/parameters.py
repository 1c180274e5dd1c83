"""minrnn-parameters: minGRU and minLSTM have a fraction of the parameters of a GRU and an LSTM, counted from modules.

d_x channels in, d_h = α · d_x hidden units. Weights alone, as the paper counts: 2 d_h d_x against 3 d_h (d_x + d_h),
and 3 d_h d_x against 4 d_h (d_x + d_h).
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from statewise.mixers import MinGRU, MinLSTM
from statewise.runs.findings import Chart, Curve, Findings, Grid, Published, Quantity
from statewise.studies.minrnn.known import MEMORY, PAPER
from statewise.studies.study import Study, Trained

EXPANSIONS = (1, 2, 3, 4)
INPUTS = 64
"""d_x. Ratios of weights do not depend on it; those with biases nearly not."""

HALF = 0.5
"""Percents are published without decimals: what rounds to one agrees with it."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A minimal layer and the one that it is made from.

    minimal      the mixer, called with d_x and the expansion: its `projection` is the cell, its `output` leads back
    traditional  called with d_x and d_h
    percents     published, at each expansion
    """

    title: str
    minimal: Callable[..., MinGRU | MinLSTM]
    traditional: Callable[[int, int], nn.Module]
    percents: tuple[int, ...]
    known: str


PAIRS = (
    Pair(
        title="minGRU / GRU",
        minimal=MinGRU,
        traditional=nn.GRU,
        percents=(33, 22, 17, 13),
        known=f"{MEMORY}, and derived",
    ),
    Pair(
        title="minLSTM / LSTM",
        minimal=MinLSTM,
        traditional=nn.LSTM,
        percents=(38, 25, 19, 15),
        known="seen in a summary of the paper, and derived",
    ),
)


@dataclass(frozen=True)
class Shares:
    """Parameters of a minimal layer per hundred of its traditional one: weights alone, with biases, with all it has.

    whole  the map from d_h back to d_x included, which a traditional layer lacks
    """

    weights: float
    biased: float
    whole: float


def shares(pair: Pair, expansion: int) -> Shares:
    """Count both layers, with and without biases.

    >>> round(shares(PAIRS[0], 1).weights, 1)
    33.3
    """
    minimal, traditional = pair.minimal(INPUTS, expansion=expansion), pair.traditional(INPUTS, expansion * INPUTS)
    cell = minimal.projection
    return Shares(
        weights=100 * matrices(cell) / matrices(traditional),
        biased=100 * parameters(cell) / parameters(traditional),
        whole=100 * parameters(minimal) / parameters(traditional),
    )


def parameters(module: nn.Module) -> int:
    """Every number that is trained."""
    return sum(parameter.numel() for parameter in module.parameters())


def matrices(module: nn.Module) -> int:
    """Those that are weights of linear maps."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.ndim == 2)


def read(scale: str, trained: Trained) -> Findings:
    """Every ratio beside the paper's; the same at every scale."""
    found = {(pair.title, expansion): shares(pair, expansion) for pair in PAIRS for expansion in EXPANSIONS}
    return Findings(
        quantities=tuple(
            Quantity(
                name=f"{pair.title}, expansion {expansion}, percent of the weights",
                values=(found[pair.title, expansion].weights,),
                published=Published(value=percent, known=pair.known, low=percent - HALF, high=percent + HALF),
                exact=True,
            )
            for pair in PAIRS
            for expansion, percent in zip(EXPANSIONS, pair.percents, strict=True)
        ),
        grids=(grid_of(found),),
        charts=(chart_of(found),),
        notes=NOTES,
    )


def grid_of(found: dict[tuple[str, int], Shares]) -> Grid:
    """What is left out of the paper's count."""
    rows = [
        (f"{title}, {words}", *(f"{getattr(found[title, expansion], name):.1f}" for expansion in EXPANSIONS))
        for title in (pair.title for pair in PAIRS)
        for name, words in (
            ("weights", "weights"),
            ("biased", "and biases"),
            ("whole", "and the map back to d_x, biases too"),
        )
    ]
    return Grid(
        title=f"Parameters in percent, d_x = {INPUTS}",
        headings=("counted", *(f"α = {expansion}" for expansion in EXPANSIONS)),
        rows=tuple(rows),
    )


def chart_of(found: dict[tuple[str, int], Shares]) -> Chart:
    """Percent against expansion."""
    return Chart(
        name="percent",
        title="Parameters of a minimal layer in percent of its traditional one",
        x_label="expansion d_h / d_x",
        y_label="percent of the weights",
        curves=tuple(
            Curve(
                label=pair.title,
                points=tuple((expansion, (found[pair.title, expansion].weights,)) for expansion in EXPANSIONS),
            )
            for pair in PAIRS
        ),
        linear=True,
    )


NOTES = (
    "The paper counts weights without biases, and the cell without the map from d_h back to d_x that its blocks "
    "have besides. Counted here from torch.nn.GRU and LSTM (which have two biases for each gate) and from our "
    "layers (one).",
    "The largest layers are where the saving is largest, and the map back, d_h · d_x, takes a third or more of it "
    "again.",
)

STUDY = Study(
    name="minrnn-parameters",
    claim="minGRU has 33, 22, 17, 13 % of a GRU's weights at expansions 1 to 4, minLSTM 38, 25, 19, 15 % of an LSTM's.",
    source=f"{PAPER}, §3.1 and §3.2",
    times=dict.fromkeys(("smoke", "small", "paper"), "0.6 s of CPU time"),
    read=read,
)
