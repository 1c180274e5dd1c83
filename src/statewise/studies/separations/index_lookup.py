"""separations-index-lookup: one narrow attention layer looks a place up; recurrent models must have stored the string.

Figure 2 of the paper: accuracy against the length of the string, every length a model of its own.
"""

from dataclasses import dataclass

from statewise.bounds import best_accuracy, required_bits
from statewise.runs.findings import Curve, Findings, Mark, Published, Quantity
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
    lengths_of,
    longest_first,
    values_at,
)
from statewise.studies.study import TOO_SHORT, Study, Trained
from statewise.tasks import IndexLookup

TRANSFORMER = "Transformer, one layer"
SHORTEST = 10
"""Symbols of the shortest string that is trained on."""

DEGRADES_ABOVE = 100
"""The length up to which the paper says nothing against recurrent models."""

NEAR_PERFECT = 0.95
SHORT_OF_IT = 0.9
"""Accuracy from which on a model counts as near-perfect, and below which as degraded: fixed before looking."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the study is.

    lengths  N: a model for each, trained on strings of 10 … N symbols, asked at N
    queries  of each string
    """

    lengths: tuple[int, ...]
    contenders: tuple[Contender, ...]
    budget: Budget
    queries: int = 1
    alphabet: int = 64


def contenders(
    depths: tuple[int, ...], widths: tuple[int, ...], heads: tuple[int, ...], *, lstm: tuple[int, ...]
) -> tuple[Contender, ...]:
    """One attention layer of width 64, and recurrent models in a grid; LSTMs of depths of their own."""
    return (
        transformer(TRANSFORMER, layers=1, width=64, heads=heads),
        recurrent("lstm", lstm, widths),
        recurrent("mamba", depths, widths),
        recurrent("linear-attention", depths, widths, heads),
        recurrent("s4d", depths, widths),
        recurrent("retention", depths, widths, heads),
    )


SCALES = {
    "smoke": Scale(
        lengths=(12,),
        contenders=contenders((1,), (16,), (4,), lstm=(1,)),
        budget=Budget(steps=2, rates=(5e-3,), seeds=(0,), batch_size=4, validation=8, examples=8),
        queries=2,
    ),
    "small": Scale(
        lengths=(20, 50, 100, 200),
        contenders=contenders((1,), (64,), (4,), lstm=(1,))[:4],
        budget=Budget(steps=550, rates=(5e-3,), seeds=(0, 1, 2), batch_size=16),
        queries=48,
    ),
    "paper": Scale(
        lengths=(20, 50, 100, 200, 400),
        contenders=contenders((1, 2, 4, 6), (64, 128, 256), (4, 8), lstm=(1, 2, 3)),
        budget=PAPER,
    ),
}


def task_of(asked: Scale) -> IndexLookup:
    """The task of a scale."""
    return IndexLookup(alphabet=asked.alphabet, queries=asked.queries)


def cells(asked: Scale) -> Cells:
    """The runs of every contender at every length."""
    return {
        (contender.label, length): runs_of(
            asked.budget, contender, task_of(asked), sizes=range(SHORTEST, length + 1), size=length
        )
        for contender in asked.contenders
        for length in asked.lengths
    }


def plan(scale: str) -> list[RunConfig]:
    """Every run, the long ones first."""
    return longest_first(cells(SCALES[scale]))


def read(scale: str, trained: Trained) -> Findings:
    """The heat map, the bits, the claims at the largest length, and the chart."""
    asked = SCALES[scale]
    found = found_of(trained, cells(asked))
    return Findings(
        grids=(
            accuracy_grid("Accuracy at N: mean (each seed)", found),
            bits_grid(
                "Bits after the string, before the query",
                found,
                ("required of a recurrent reader", *(f"{bits:,.0f}" for bits in required(asked, found))),
            ),
        ),
        quantities=claims(scale, asked, found),
        charts=(
            accuracy_chart(
                "accuracy",
                "Index lookup: one attention layer and recurrent models",
                found,
                marks=(Mark(label="guessing", axis="y", at=1 / asked.alphabet),),
                further=proved(asked, found),
            ),
        ),
        notes=(*NOTES, *trained.missing()),
    )


def required(asked: Scale, found: Found) -> list[float]:
    """Bits that a proof asks of every recurrent reader, at each length."""
    return [required_bits(task_of(asked), length).value for length in lengths_of(found)]


def proved(asked: Scale, found: Found) -> tuple[Curve, ...]:
    """The accuracy that the smallest recurrent state of all cannot exceed; nothing where none finished."""
    recurrent_labels = [contender.label for contender in asked.contenders if contender.recurrent]
    held = [result.state_bits for label, at in found if label in recurrent_labels for result in found[label, at]]
    if not held:
        return ()
    limits = ((length, best_accuracy(task_of(asked), length, min(held))) for length in lengths_of(found))
    return (
        Curve(
            label=f"proved limit of {min(held):,} bits, the smallest recurrent state",
            points=tuple((float(length), (limit.value,)) for length, limit in limits if limit is not None),
        ),
    )


def claims(scale: str, asked: Scale, found: Found) -> tuple[Quantity, ...]:
    """What the paper says, at the largest length."""
    length = asked.lengths[-1]
    incomparable = TOO_SHORT if scale == "smoke" else ""
    near = Published(words="near-perfect", known=WORDS_ALONE, low=NEAR_PERFECT)
    degraded = Published(words=f"degrades above {DEGRADES_ABOVE}", known=WORDS_ALONE, high=SHORT_OF_IT)
    return tuple(
        Quantity(
            name=f"accuracy at N = {length}, {contender.label}",
            values=values_at(found, contender.label, length),
            published=degraded if contender.recurrent else near,
            incomparable=incomparable,
        )
        for contender in asked.contenders
    )


NOTES = (
    "The proof is about strings so long that states do not hold them: N · 6 bits. States here hold more at these "
    "lengths, so that where a recurrent model fails it has not learned; the bound is not what stops it.",
    "At small: 48 queries of each string, answered from one reading, make supervision denser than the paper's one; "
    "550 steps of 16 strings in place of up to 250,000 of 64; one rate, one layer of width 64 for all; no DSS, no "
    "RetNet.",
    "At paper the best setting of the grid is chosen on the validation split, by the mean over three seeds; the paper "
    "has one run of each setting and reports the best. Strings of a batch have one length, drawn for each step.",
    "S4D stands in for DSS. Recurrent layers, torch's LSTM too, stand in pre-norm blocks on a residual; GPT-2's tied "
    "head and dropout are left out. LSTMs have at most 3 layers: 1, 2 and 3 are tried. The paper's text once writes N "
    "for the longest string, which is taken for its k, from 10 to N. It says Adam and names no schedule: the rate is "
    "constant there.",
)

STUDY = Study(
    name="separations-index-lookup",
    claim="One attention layer of width 64 looks up any place; recurrent models degrade above 100 symbols.",
    source="Bhattamishra, Hahn, Blunsom, Kanade, arXiv 2406.09347, §4 and Figure 2, Theorems 1 and 3; known in words",
    times={"smoke": "3 s of CPU time", "small": "9 min on two cores, estimated from a few steps"},
    plan=plan,
    read=read,
)
