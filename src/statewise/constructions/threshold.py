"""Thresholds of features as constructions: at least b elements in both sets, and whatever else is one.

Equality and disjointness are thresholds too, of mismatches and of common elements, with b = 1.
"""

from collections.abc import Sequence

from statewise.constructions.construction import Construction
from statewise.constructions.directions import code_bits
from statewise.constructions.threshold_model import Feature, Terms, precision_of, threshold_model
from statewise.constructions.threshold_task import Threshold
from statewise.core.errors import UsageError
from statewise.tasks import Task

SOURCE = "Bhattamishra et al. 2024, arXiv 2406.09347, Theorem 13"

BOTH: Terms = ((1, 1),)
"""Whether two bits are 1."""


def attention(size: int, *, at_least: int = 2, interleaved: bool = False) -> Construction:
    """At least b elements in both sets: two layers, one head, width 2·⌈log2 2n⌉ + 6, for this size alone.

    size         n, at least b
    at_least     b, at least 1
    interleaved  the layout of the sets

    >>> attention(64, at_least=20).verify().exact
    True
    """
    return constructed(
        "threshold/attention",
        Threshold(interleaved=interleaved, at_least=at_least),
        size,
        pairs_of_sets(size, interleaved=interleaved),
        at_least=at_least,
        source=f"{SOURCE}, with k = 2",
    )


def pairs_of_sets(size: int, *, interleaved: bool) -> list[Feature]:
    """For each element whether it is in both sets."""
    steps, apart = (2, 1) if interleaved else (1, size)
    return [Feature((steps * element, steps * element + apart), BOTH) for element in range(size)]


def constructed(
    name: str,
    task: Task,
    size: int,
    features: Sequence[Feature],
    *,
    symbols: int = 2,
    at_least: int = 1,
    answers: tuple[int, int] = (2, 3),
    source: str,
) -> Construction:
    """A task of one size that is a threshold of these features. A size that the task lacks is a UsageError."""
    if size < 1:
        raise UsageError(f"{name}: size is {size}; it must be at least 1")
    task.check_size(size)
    length = task.length(size)
    digits = f"2·{code_bits(length)} + 2·{code_bits(symbols)} + 4"
    model = threshold_model(
        features,
        length=length,
        vocabulary=task.vocabulary(size),
        symbols=symbols,
        at_least=at_least,
        answers=answers,
    )
    return Construction(
        name=name,
        model=model,
        task=task,
        sizes=(size, size),
        precision=precision_of(length, at_least),
        claim=f"two attention layers, one head, {model.config.width} = {digits} channels: O(log n), for one size",
        source=f"{source}; binary addresses are ours, and a feature keeps its own symbol in place of a head",
    )
