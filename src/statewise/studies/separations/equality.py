"""separations-equality: are two strings the same? Three ways to ask; the same theorem binds them, training does not.

Accuracy against N, the symbols of both strings together: random strings, strings that differ in one place, and the
second string written out (next-character prediction).
"""

from collections.abc import Callable
from dataclasses import dataclass

from statewise.bounds import required_bits
from statewise.bounds.equality import attention_layer_size
from statewise.runs import Result
from statewise.runs.findings import Chart, Findings, Grid, Mark, Published, Quantity
from statewise.studies.run_config import RunConfig
from statewise.studies.separations.contenders import (
    LABELS,
    PAPER,
    Budget,
    Contender,
    recurrent,
    runs_of,
    with_heads,
)
from statewise.studies.separations.heat_map import (
    WORDS_ALONE,
    Cells,
    Found,
    accuracy_chart,
    accuracy_grid,
    bits_grid,
    found_of,
    longest_first,
    sequence_accuracy,
    token_accuracy,
    values_at,
)
from statewise.studies.study import TOO_SHORT, Study, Trained
from statewise.tasks import Equality

TRANSFORMER = "Transformer"
RANDOM, ONE_DIFFERENCE, NEXT_CHARACTER = "random", "one-difference", "next-character"

NEAR_PERFECT = 0.95
FAILS = 0.9
"""Accuracy from which on a model counts as near-perfect, and below which as failing: fixed before looking."""

SHARE_OF_SHORTEST = 10
"""The shortest strings have N/10 symbols, both together."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to ask.

    alphabet    symbols
    lengths     N, symbols of both strings: a model for each, trained on N/10 … N and asked at N
    near, fail  labels of the models that the paper calls near-perfect, and that it says fail
    from_on     the N above which those that fail do so
    """

    alphabet: int
    lengths: tuple[int, ...]
    contenders: tuple[Contender, ...]
    near: tuple[str, ...]
    fail: tuple[str, ...] = ()
    from_on: int = 0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the study is."""

    forms: dict[str, Form]
    budget: Budget


def contenders(
    depths: tuple[int, ...], widths: tuple[int, ...], heads: tuple[int, ...], *, lstm: tuple[int, ...]
) -> tuple[Contender, ...]:
    """Every kind of model in a grid; LSTMs of depths of their own."""
    attention = (
        with_heads("attention", layers, width, count) for layers in depths for width in widths for count in heads
    )
    return (
        Contender(label=TRANSFORMER, settings=tuple(attention)),
        recurrent("lstm", lstm, widths),
        recurrent("mamba", depths, widths),
        recurrent("linear-attention", depths, widths, heads),
        recurrent("s4d", depths, widths),
        recurrent("retention", depths, widths, heads),
    )


def forms(
    any_width: tuple[Contender, ...],
    narrow: tuple[Contender, ...],
    *,
    lengths: tuple[int, ...],
    longest: int,
    alphabet: int,
) -> dict[str, Form]:
    """The three forms, and what the paper says of each.

    any_width, narrow  the models of the two yes-or-no forms, and those of next-character prediction
    longest            N that next-character prediction is asked at besides
    alphabet           symbols of the last two forms; random strings are binary
    """
    return {
        RANDOM: Form(
            alphabet=2,
            lengths=lengths,
            contenders=any_width,
            near=(TRANSFORMER, LABELS["mamba"], LABELS["s4d"]),
            fail=(LABELS["lstm"], LABELS["linear-attention"]),
            from_on=100,
        ),
        ONE_DIFFERENCE: Form(
            alphabet=alphabet, lengths=lengths, contenders=any_width, near=tuple(each.label for each in any_width)
        ),
        NEXT_CHARACTER: Form(
            alphabet=alphabet,
            lengths=tuple(dict.fromkeys((*lengths, longest))),
            contenders=narrow,
            near=(TRANSFORMER,),
            fail=(LABELS["mamba"], LABELS["s4d"]),
            from_on=400,
        ),
    }


SMOKE = contenders((2,), (16,), (4,), lstm=(1,))
SMALL = contenders((2,), (64,), (4,), lstm=(1,))[:4]
GRID = ((1, 2, 4, 6), (64, 128, 256, 512), (4, 8))

SCALES = {
    "smoke": Scale(
        forms=forms(SMOKE[:3], SMOKE[:3], lengths=(8,), longest=8, alphabet=4),
        budget=Budget(steps=2, rates=(1e-3,), seeds=(0,), batch_size=4, validation=8, examples=8),
    ),
    "small": Scale(
        forms=forms(SMALL, SMALL, lengths=(20, 40), longest=40, alphabet=16),
        budget=Budget(steps=600, rates=(2e-3,), seeds=(0, 1, 2), batch_size=32),
    ),
    "paper": Scale(
        forms=forms(
            contenders(*GRID, lstm=(1, 2, 3)),
            contenders(GRID[0], (64,), GRID[2], lstm=(1, 2, 3)),
            lengths=(20, 50, 100, 200, 400),
            longest=800,
            alphabet=1024,
        ),
        budget=PAPER,
    ),
}


def task_of(name: str, form: Form) -> Equality:
    """The task of a form."""
    return Equality(form=name, alphabet=form.alphabet)


def sizes_of(length: int) -> range:
    """Symbols of each string where both together have from N/10 to N.

    >>> sizes_of(20), sizes_of(50)
    (range(1, 11), range(3, 26))
    """
    return range(max(1, -(-length // (2 * SHARE_OF_SHORTEST))), length // 2 + 1)


def cells(scale: str, name: str) -> Cells:
    """The runs of a form: every contender at every length."""
    asked, form = SCALES[scale], SCALES[scale].forms[name]
    return {
        (contender.label, length): runs_of(
            asked.budget, contender, task_of(name, form), sizes=sizes_of(length), size=length // 2
        )
        for contender in form.contenders
        for length in form.lengths
    }


def plan(scale: str) -> list[RunConfig]:
    """Every form, in each the long runs first."""
    return [run for name in SCALES[scale].forms for run in longest_first(cells(scale, name))]


def read(scale: str, trained: Trained) -> Findings:
    """For each form a heat map, the bits, the claims at the largest length, and a chart."""
    found = {name: found_of(trained, cells(scale, name)) for name in SCALES[scale].forms}
    return Findings(
        grids=tuple(grid for name in found for grid in grids_of(scale, name, found[name])),
        quantities=tuple(claim for name in found for claim in claims(scale, name, found[name])),
        charts=tuple(chart_of(scale, name, found[name]) for name in found),
        notes=(*NOTES, *trained.missing()),
    )


def measure_of(name: str) -> Callable[[Result], float]:
    """Next-character prediction counts whole strings, as the paper does."""
    return sequence_accuracy if name == NEXT_CHARACTER else token_accuracy


def grids_of(scale: str, name: str, found: Found) -> tuple[Grid, Grid]:
    """Accuracy, and bits below what is proved of the form."""
    form = SCALES[scale].forms[name]
    required = (required_bits(task_of(name, form), length // 2).value for length in form.lengths)
    above = [("required of a recurrent reader", *(f"{bits:,.0f}" for bits in required))]
    if name == RANDOM:
        sizes = (attention_layer_size(length // 2, form.alphabet).value for length in form.lengths)
        above.append(("width × heads of one attention layer", *(f"{size:.2f}" for size in sizes)))
    return (
        accuracy_grid(f"{name}: accuracy at N: mean (each seed)", found, measure_of(name)),
        bits_grid(f"{name}: bits after the first string, {form.alphabet:,} symbols", found, *above),
    )


def claims(scale: str, name: str, found: Found) -> tuple[Quantity, ...]:
    """What the paper says of a form, at the largest length; where it says nothing, only what came out."""
    form = SCALES[scale].forms[name]
    length = form.lengths[-1]
    return tuple(
        Quantity(
            name=f"{name}, accuracy at N = {length}, {contender.label}",
            values=values_at(found, contender.label, length, measure_of(name)),
            published=published(form, contender.label),
            incomparable=TOO_SHORT if scale == "smoke" else too_short(form, contender.label, length),
        )
        for contender in form.contenders
    )


def published(form: Form, label: str) -> Published | None:
    """The paper's word on a model."""
    if label in form.near:
        return Published(words="near-perfect", known=WORDS_ALONE, low=NEAR_PERFECT)
    if label in form.fail:
        return Published(words=f"fails above {form.from_on}", known=WORDS_ALONE, high=FAILS)
    return None


def too_short(form: Form, label: str, length: int) -> str:
    """Why a failure cannot be looked for at this length; empty where it can.

    >>> too_short(SCALES["small"].forms["random"], "LSTM", 40)
    'the paper says that it fails above N = 100, and N is 40'
    """
    if label not in form.fail or length > form.from_on:
        return ""
    return f"the paper says that it fails above N = {form.from_on}, and N is {length}"


def chart_of(scale: str, name: str, found: Found) -> Chart:
    """Accuracy against N, and guessing: nothing of next-character strings is guessed whole."""
    form = SCALES[scale].forms[name]
    marks = () if name == NEXT_CHARACTER else (Mark(label="guessing", axis="y", at=0.5),)
    title = f"Equality of strings, {name}, {form.alphabet:,} symbols"
    return accuracy_chart(name, title, found, marks=marks, measure=measure_of(name))


NOTES = (
    "Required bits are about readers that are right on every string. Of random strings a hash of a few bits is all "
    "but always right, so that no accuracy below 100 % is bounded; where unequal strings differ in one place, a "
    "checksum of log2 of the alphabet is always right. Only next-character prediction asks for the string itself.",
    "At small: N = 20 and 40 in place of 20 … 800, where what the paper says of failing models cannot be seen; 16 "
    "symbols in place of 1,024 in the last two forms; 600 steps of 32 strings in place of up to 250,000 of 64; two "
    "layers of width 64 (one of the LSTM), one rate, no DSS and no RetNet.",
    "N counts the symbols of both strings, the separator apart. Strings of a batch have one length, drawn for each "
    "step. The paper predicts the set of legal symbols at every prefix; before the separator every symbol is legal, "
    "so here only what follows it is asked.",
    "S4D stands in for DSS. At paper the whole grid is tried and the best setting chosen on the validation split, by "
    "the mean over three seeds; next-character prediction has width 64. Wider DSS that the paper reports at N = 800 "
    "is not in the plan.",
)

STUDY = Study(
    name="separations-equality",
    claim="Transformers decide equality to N = 400; random strings stop LSTMs and linear Transformers above 100.",
    source="Bhattamishra, Hahn, Blunsom, Kanade, arXiv 2406.09347, §6 and appendix, Theorems 6, 11, 12; known in words",
    times={"smoke": "3 s of CPU time", "small": "9 min on two cores, estimated from a few steps"},
    plan=plan,
    read=read,
)
