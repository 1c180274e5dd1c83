"""What is read off the runs of a separation: for each contender and length its best setting, as a table and a chart."""

from collections.abc import Callable, Sequence

from statewise.runs import Result
from statewise.runs.findings import Chart, Curve, Grid, Mark
from statewise.studies.best_setting import at_best_setting
from statewise.studies.run_config import RunConfig
from statewise.studies.study import Trained

Cells = dict[tuple[str, int], list[RunConfig]]
"""The runs of each contender, by its label, at each length."""

Found = dict[tuple[str, int], tuple[Result, ...]]
"""The results of their best setting, one for each seed."""

WORDS_ALONE = "read in the paper's text; the numbers of its heat maps were not available"
"""How the claims of the separations are known."""


def longest_first(cells: Cells) -> list[RunConfig]:
    """Every run, the longest first: what starts last is short."""
    ordered = sorted(cells, key=lambda cell: cell[1], reverse=True)
    return [run for cell in ordered for run in cells[cell]]


def found_of(trained: Trained, cells: Cells) -> Found:
    """The test results of every cell in the setting that is best on the validation split."""
    return {
        cell: tuple(trained.record(run).results[0] for run in at_best_setting(trained, runs))
        for cell, runs in cells.items()
    }


def token_accuracy(result: Result) -> float:
    """Of every answer."""
    assert result.token_accuracy is not None
    return result.token_accuracy


def sequence_accuracy(result: Result) -> float:
    """Of sequences with every answer right."""
    assert result.sequence_accuracy is not None
    return result.sequence_accuracy


def values_at(
    found: Found, label: str, length: int, measure: Callable[[Result], float] = token_accuracy
) -> tuple[float, ...]:
    """One value for each seed."""
    return tuple(map(measure, found[label, length]))


def accuracy_grid(title: str, found: Found, measure: Callable[[Result], float] = token_accuracy) -> Grid:
    """Contenders against lengths: the mean over seeds, and what each seed came to."""
    return Grid(
        title=title,
        headings=("model", *(f"N = {length}" for length in lengths_of(found))),
        rows=tuple(
            (label, *(spread(values_at(found, label, length, measure)) for length in lengths_of(found)))
            for label in labels_of(found)
        ),
    )


def bits_grid(title: str, found: Found, *above: tuple[str, ...]) -> Grid:
    """The bits of state that each contender carries, below rows of what is proved."""
    return Grid(
        title=title,
        headings=("bits", *(f"N = {length}" for length in lengths_of(found))),
        rows=(
            *above,
            *(
                (f"state of {label}", *(bits_of(found[label, length]) for length in lengths_of(found)))
                for label in labels_of(found)
            ),
        ),
    )


def bits_of(results: Sequence[Result]) -> str:
    """State bits of the setting, the same for every seed; a dash where nothing finished."""
    return f"{results[0].state_bits:,}" if results else "–"


def spread(values: Sequence[float]) -> str:
    """A mean, and the values behind it.

    >>> spread((1.0, 0.5)), spread(())
    ('0.75 (1.00 0.50)', '–')
    """
    if not values:
        return "–"
    return f"{sum(values) / len(values):.2f} ({' '.join(f'{value:.2f}' for value in values)})"


def accuracy_chart(
    name: str,
    title: str,
    found: Found,
    *,
    marks: tuple[Mark, ...],
    measure: Callable[[Result], float] = token_accuracy,
    further: tuple[Curve, ...] = (),
) -> Chart:
    """Accuracy against length, a curve for each contender, then further ones."""
    curves = tuple(
        Curve(
            label=label,
            points=tuple((float(length), values_at(found, label, length, measure)) for length in lengths_of(found)),
        )
        for label in labels_of(found)
    )
    return Chart(
        name=name,
        title=title,
        x_label="length N",
        y_label="accuracy, test split",
        curves=(*curves, *further),
        marks=marks,
        linear=True,
    )


def labels_of(found: Found) -> list[str]:
    """The contenders, in their order."""
    return list(dict.fromkeys(label for label, _ in found))


def lengths_of(found: Found) -> list[int]:
    """The lengths, shortest first."""
    return sorted({length for _, length in found})
