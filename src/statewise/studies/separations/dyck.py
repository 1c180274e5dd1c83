"""separations-dyck: a finite automaton is enough for bounded brackets, and one attention layer has to grow with length.

Figure 4 of the paper: accuracy on strings of exactly N brackets, two types, at most two deep.
"""

from dataclasses import dataclass
from typing import Any

from statewise.bounds import required_bits
from statewise.bounds.dyck import attention_layer_size
from statewise.runs.findings import Findings, Grid, Mark, Published, Quantity
from statewise.studies.run_config import RunConfig
from statewise.studies.separations.contenders import PAPER, Budget, Contender, recurrent, runs_of, transformer
from statewise.studies.separations.heat_map import (
    WORDS_ALONE,
    Cells,
    Found,
    accuracy_chart,
    accuracy_grid,
    bits_grid,
    found_of,
    longest_first,
    values_at,
)
from statewise.studies.study import TOO_SHORT, Study, Trained
from statewise.tasks import Dyck

TASK = Dyck(types=2, depth=2)
ONE, TWO = "Transformer, one layer", "Transformer, two layers"

FINE_UP_TO = 100
"""The length up to which the paper's one layer of width 256 does well."""

NEAR_PERFECT = 0.95
STRUGGLES = 0.9
"""Accuracy from which on a model counts as near-perfect, and below which as struggling: fixed before looking."""

BETTER = 0.05
"""Accuracy by which two layers have to be ahead after as many steps: fixed before looking."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the study is.

    lengths  N: a model for each, trained and asked at N brackets
    """

    lengths: tuple[int, ...]
    contenders: tuple[Contender, ...]
    budget: Budget


def contenders(
    one: int, width: int, heads: tuple[int, ...], *, lstm: tuple[int, ...], mamba: tuple[int, ...]
) -> tuple[Contender, ...]:
    """Transformers of one layer and of two, whose widths are apart, and two recurrent models in so many depths."""
    return (
        transformer(ONE, layers=1, width=one, heads=heads),
        transformer(TWO, layers=2, width=width, heads=heads),
        recurrent("lstm", lstm, (width,)),
        recurrent("mamba", mamba, (width,)),
    )


SCALES = {
    "smoke": Scale(
        lengths=(12,),
        contenders=contenders(16, 16, (4,), lstm=(1,), mamba=(1,)),
        budget=Budget(steps=2, rates=(1e-3,), seeds=(0,), batch_size=4, validation=8, examples=8),
    ),
    "small": Scale(
        lengths=(20, 40),
        contenders=contenders(64, 64, (4,), lstm=(1,), mamba=(1,)),
        budget=Budget(steps=1000, rates=(1e-3, 3e-3), seeds=(0, 1, 2), batch_size=32),
    ),
    "paper": Scale(
        lengths=(20, 50, 100, 200, 400),
        contenders=contenders(256, 64, (4, 8), lstm=(1, 2, 3), mamba=(1, 2, 4, 6)),
        budget=PAPER,
    ),
}


def cells(asked: Scale) -> Cells:
    """The runs of every contender at every length."""
    return {
        (contender.label, length): runs_of(asked.budget, contender, TASK, sizes=(length,), size=length)
        for contender in asked.contenders
        for length in asked.lengths
    }


def plan(scale: str) -> list[RunConfig]:
    """Every run, the long ones first."""
    return longest_first(cells(SCALES[scale]))


def read(scale: str, trained: Trained) -> Findings:
    """The heat map, the bounds, the claims at the largest length, and the chart."""
    asked = SCALES[scale]
    found = found_of(trained, cells(asked))
    required = (f"{required_bits(TASK, length).value:.1f}" for length in asked.lengths)
    return Findings(
        grids=(
            accuracy_grid("Accuracy at N: mean (each seed)", found),
            bits_grid("Bits half way", found, ("required of a recurrent reader", *required)),
            size_grid(asked),
        ),
        quantities=claims(scale, asked, found),
        charts=(
            accuracy_chart(
                "accuracy",
                "Balanced brackets of two types, at most two deep",
                found,
                marks=(Mark(label="guessing", axis="y", at=0.5),),
            ),
        ),
        notes=(*NOTES, *trained.missing()),
    )


def size_grid(asked: Scale) -> Grid:
    """What the theorem asks of one attention layer, and what the model has."""
    least = (attention_layer_size(length, TASK.types, TASK.depth).value for length in asked.lengths)
    sizes = {settings["width"] * heads_of(settings) for settings in asked.contenders[0].settings}
    return Grid(
        title="Width times heads of one attention layer",
        headings=("width × heads", *(f"N = {length}" for length in asked.lengths)),
        rows=(
            ("required, Theorem 5 (at least)", *(f"{size:.2f}" for size in least)),
            (ONE, *[" ".join(f"{size:,}" for size in sorted(sizes))] * len(asked.lengths)),
        ),
    )


def heads_of(settings: dict[str, Any]) -> int:
    """Heads of a contender's attention layers, from their size."""
    (text,) = settings["mixer_settings"]
    return int(settings["width"]) // int(text.removeprefix("head_size="))


def claims(scale: str, asked: Scale, found: Found) -> tuple[Quantity, ...]:
    """What the paper says, at the largest length."""
    length = asked.lengths[-1]
    smoke = TOO_SHORT if scale == "smoke" else ""
    short = (
        f"the paper says that it struggles above N = {FINE_UP_TO}, and N is {length}" if length <= FINE_UP_TO else ""
    )
    near = Published(words="near-perfect to N = 400", known=WORDS_ALONE, low=NEAR_PERFECT)
    one, two = (values_at(found, label, length) for label in (ONE, TWO))
    return (
        Quantity(
            name=f"accuracy at N = {length}, {ONE}",
            values=one,
            published=Published(words=f"struggles above N = {FINE_UP_TO}", known=WORDS_ALONE, high=STRUGGLES),
            incomparable=smoke or short,
        ),
        *(
            Quantity(
                name=f"accuracy at N = {length}, {contender.label}",
                values=values_at(found, contender.label, length),
                published=near,
                incomparable=smoke,
            )
            for contender in asked.contenders[1:]
        ),
        Quantity(
            name=f"accuracy at N = {length}, two layers minus one",
            values=tuple(high - low for high, low in zip(two, one, strict=True)) if len(one) == len(two) else (),
            published=Published(words="one layer is slower to learn", known=WORDS_ALONE, low=BETTER),
            incomparable=smoke,
        ),
    )


NOTES = (
    "The automaton has 8 states, 3 bits: no recurrent model here is short of them. What one attention layer needs "
    "grows with N, but is far below widths in use up to N = 8,000 and more: at these lengths the study shows what is "
    "learned, not what is impossible. Nothing of the kind is proved for two layers; linear recurrences are not spoken "
    "of.",
    "At small: N = 20 and 40 in place of 20 … 400, which is below where the paper's one layer struggles; there it "
    "only learns more slowly. One layer of width 64 in place of 256, 1,000 steps of 32 strings in place of up to "
    "250,000 of 64, the better of two rates, one layer of each recurrent model.",
    "Members are drawn by a walk that opens or closes with equal chance where both are possible; the paper's text "
    "does not fix its probabilities. Negatives differ from members in 1 to N/10 brackets, as there.",
    "At paper LSTMs of 1, 2 and 3 layers and Mambas of 1, 2, 4 and 6 are tried, all of width 64: the paper gives "
    "widths, not depths.",
)

STUDY = Study(
    name="separations-dyck",
    claim="One attention layer struggles with longer bounded brackets; recurrent models and two layers do not.",
    source="Bhattamishra, Hahn, Blunsom, Kanade, arXiv 2406.09347, §5 and Figure 4, Theorem 5; known in words",
    times={"smoke": "3 s of CPU time", "small": "9 min on two cores, estimated from a few steps"},
    plan=plan,
    read=read,
)
