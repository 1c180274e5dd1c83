"""separations-equality: are two strings the same? Three ways to ask, which the same theorem binds and training does not.

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
    transformer,
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
