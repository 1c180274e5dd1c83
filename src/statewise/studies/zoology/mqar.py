"""zoology-mqar: attention recalls any number of pairs at any width; recurrent models need a state that is large enough.

Figure 2 of zoology: accuracy against width for each length. Here bits stand beside it: those of the state, those that
are read back out of it, and those that a proof asks for.
"""

from collections.abc import Sequence

from statewise.bounds import required_bits
from statewise.runs import Result
from statewise.runs.findings import Chart, Curve, Findings, Grid, Mark, Published, Quantity
from statewise.studies.best_setting import at_best_setting
from statewise.studies.study import TOO_SHORT, Study, Trained
from statewise.studies.zoology.recovered import bits_of_accuracy, recovered_bits
from statewise.studies.zoology.runs import ATTENTION, MIXERS, SCALES, Point, Scale, plan, runs_of, task_of

MEMORY = "from memory of the paper's figure"

SOLVED = 0.99
SOLVED_AT_SMALL = 0.95
"""Accuracy that counts as 1, at paper and after few steps: fixed before looking."""

NO_FALL = -0.02
"""Least change of accuracy from the narrowest to the widest that still counts as not falling: fixed before looking."""

Found = dict[tuple[str, int], tuple[Result, ...]]
"""At one point the results of each mixer and width at the best rate, one for each seed."""


def read(scale: str, trained: Trained) -> Findings:
    """For each point the table of bits and its chart; one chart of accuracy; the claims at the largest point."""
    asked = SCALES[scale]
    found = {point: found_of(asked, point, trained) for point in asked.points}
    last = asked.points[-1]
    return Findings(
        grids=tuple(grid_of(asked, point, found[point]) for point in asked.points),
        quantities=claims(scale, asked, last, found[last]),
        charts=(
            *(bits_chart(asked, point, found[point]) for point in asked.points),
            *(accuracy_chart(point, found[point]) for point in asked.points),
        ),
        notes=(*NOTES, *trained.missing()),
    )


def found_of(asked: Scale, point: Point, trained: Trained) -> Found:
    """The test results at the rate that is best on the validation split."""
    return {
        (mixer, width): tuple(
            trained.record(run).results[0] for run in at_best_setting(trained, runs_of(asked, point, mixer, width))
        )
        for mixer in MIXERS
        for width in asked.widths
    }


def accuracies(results: Sequence[Result]) -> tuple[float, ...]:
    """Accuracy of the queries, for each seed."""
    return tuple(result.token_accuracy for result in results if result.token_accuracy is not None)


def recovered(asked: Scale, point: Point, results: Sequence[Result]) -> tuple[float, ...]:
    """Bits that the queries read back, for each seed."""
    return tuple(recovered_bits(task_of(asked, point), point.pairs, result.loss) for result in results)


def grid_of(asked: Scale, point: Point, found: Found) -> Grid:
    """A row for each model: accuracy, and its three numbers of bits."""
    required = required_bits(task_of(asked, point), point.pairs).value
    return Grid(
        title=f"{point.pairs} pairs in {point.length} tokens: {required:,.1f} bits are required",
        headings=("model", "width", "accuracy", "state bits", "recovered bits", "bits such accuracy takes"),
        rows=tuple((mixer, str(width), *cells(asked, point, results)) for (mixer, width), results in found.items()),
    )


def cells(asked: Scale, point: Point, results: Sequence[Result]) -> tuple[str, str, str, str]:
    """What stands in a row; dashes where nothing finished."""
    if not results:
        return ("–",) * 4
    accuracy, bits = mean(accuracies(results)), mean(recovered(asked, point, results))
    least = bits_of_accuracy(task_of(asked, point), point.pairs, accuracy)
    return f"{accuracy:.3f}", f"{results[0].state_bits:,}", f"{bits:,.1f}", f"{least:,}"


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean of at least one number."""
    return sum(values) / len(values)


def bits_chart(asked: Scale, point: Point, found: Found) -> Chart:
    """Recovered bits against bits of state, and what is required as a line across."""
    required = required_bits(task_of(asked, point), point.pairs).value
    return Chart(
        name=f"bits-{point.length}-{point.pairs}",
        title=f"MQAR, {point.pairs} pairs in {point.length} tokens: bits read back, and bits of state",
        x_label="bits of state after the pairs",
        y_label="recovered bits",
        curves=tuple(
            Curve(
                label=mixer,
                points=tuple(
                    (float(results[0].state_bits), recovered(asked, point, results))
                    for (kind, _), results in found.items()
                    if kind == mixer and results
                ),
            )
            for mixer in MIXERS
        ),
        marks=(Mark(label=f"required: {required:,.1f} bits", axis="y", at=required),),
        linear=True,
    )


def accuracy_chart(point: Point, found: Found) -> Chart:
    """The paper's own axes: accuracy against width."""
    return Chart(
        name=f"accuracy-{point.length}-{point.pairs}",
        title=f"MQAR, {point.pairs} pairs in {point.length} tokens",
        x_label="width",
        y_label="accuracy of queries, test split",
        curves=tuple(
            Curve(
                label=mixer,
                points=tuple(
                    (float(width), accuracies(results)) for (kind, width), results in found.items() if kind == mixer
                ),
            )
            for mixer in MIXERS
        ),
        linear=True,
    )


def claims(scale: str, asked: Scale, point: Point, found: Found) -> tuple[Quantity, ...]:
    """What the figure shows, at its longest point: attention at every width, recurrent models by width."""
    incomparable = TOO_SHORT if scale == "smoke" else ""
    narrow, wide = asked.widths[0], asked.widths[-1]
    full = Published(words="1, at every width", known=MEMORY, low=SOLVED if scale == "paper" else SOLVED_AT_SMALL)
    rising = Published(words="rises with width", known=MEMORY, low=NO_FALL)
    where = f"{point.pairs} pairs in {point.length} tokens"
    return (
        *(
            Quantity(
                name=f"accuracy, attention, width {width}, {where}",
                values=accuracies(found[ATTENTION, width]),
                published=full,
                incomparable=incomparable,
            )
            for width in asked.widths
        ),
        *(
            Quantity(
                name=f"accuracy of width {wide} minus {narrow}, {mixer}, {where}",
                values=differences(accuracies(found[mixer, wide]), accuracies(found[mixer, narrow])),
                published=rising,
                incomparable=incomparable,
            )
            for mixer in MIXERS[1:]
        ),
    )


def differences(high: Sequence[float], low: Sequence[float]) -> tuple[float, ...]:
    """One for each seed, none unless both have all of them."""
    return tuple(a - b for a, b in zip(high, low, strict=True)) if len(high) == len(low) else ()


NOTES = (
    "Recovered bits: the bits of all lists of values less the cross-entropy of the queries, by the argument of the "
    "capacity meter, estimated on the test split from the record's loss. They bound from below what the state after "
    "the pairs holds of the values. The meter itself reads index lookup alone, and serialises the state; this does "
    "not.",
    "Bits such accuracy takes: the least state with which any recurrent reader is as accurate on average (sphere "
    "covering, inverted). Neither number exceeds the bits of state; states here are far larger than what is required.",
    "Paper and code differ: the code has four points, of which (512, 64) is commented out, and 448 configurations are "
    "spoken of: 7 mixers, 4 widths, 4 rates, 4 points. The paper trains at 256 and tests at 1,024, the code trains a "
    "mixture up to that (issue 27); users find H3 and Hyena better than published (issue 28).",
    "Of the seven mixers attention, RWKV-4 and Mamba are here; Hyena, H3, BaseConv and Based are not. Their code "
    "reports the best of four rates on the split that it stops early on, with one seed; here the rate is chosen on "
    "the validation split and the mean over three seeds reported on the test split.",
    "At paper, as published: vocabulary, lengths, batches, rates, weight decay, steps (64 passes over 100,000 "
    "sequences). Not so: every sequence is fresh; the rate falls with every step and not every pass; the head is not "
    "tied, nothing is dropped out, and their block, which adds a normalised residual to itself, is the usual one.",
    "At small: 4 and 8 pairs in 4 tokens each, 256 ids, widths 16 to 64, 500 steps of 64 sequences, one rate.",
)

STUDY = Study(
    name="zoology-mqar",
    claim="Attention recalls every pair at every width; recurrent models recall more, the larger their state.",
    source="Arora et al. (zoology), arXiv 2312.04927, Figure 2; settings seen in its code, values from memory",
    times={"smoke": "3 s of CPU time", "small": "10 min on two cores, estimated from a few steps"},
    plan=plan,
    read=read,
)
