"""A bound in words: the claim stays true after rounding, and the line says everything."""

import dataclasses
import math
import re

import numpy as np
import pytest

from statewise.bounds import Bound
from statewise.bounds.bound import whole
from statewise.core.errors import UsageError


def bound(value, unit="bits", direction="requirement"):
    return Bound(
        value=value,
        unit=unit,
        direction=direction,
        error="zero",
        holds_for="any reader",
        assumes="a query after the string",
        source="counting",
    )


@pytest.mark.parametrize(
    ("value", "unit", "direction", "claim"),
    [
        (64.0, "bits", "requirement", "bits: at least 64"),
        (100.0, "bits", "requirement", "bits: at least 100"),
        (9.96578, "bits", "requirement", "bits: at least 9.965"),
        (1048576.0, "bits", "requirement", "bits: at least 1,048,576"),
        (16.0001, "channels", "construction", "channels: 16.001 is enough"),
        (0.4702, "accuracy", "requirement", "accuracy: at most 0.471"),
        (0.57, "accuracy", "construction", "accuracy: 0.57 is reached"),
        (0.5709, "accuracy", "construction", "accuracy: 0.57 is reached"),
        (0.0, "bits", "requirement", "bits: at least 0"),
        (math.inf, "layers", "requirement", "layers: no number is enough"),
    ],
)
def test_the_claim_is_rounded_to_the_side_on_which_it_is_true(value, unit, direction, claim):
    assert bound(value, unit, direction).claim == claim


@pytest.mark.parametrize(
    ("direction", "claim"),
    [
        ("construction", "channels: O(log n) is enough, constant not given"),
        ("requirement", "channels: at least O(log n), constant not given"),
    ],
)
def test_a_growth_stands_where_no_number_is_proved(direction, claim):
    growing = dataclasses.replace(bound(1.0, "channels", direction), value=math.nan, growth="O(log n)")
    assert growing.claim == claim
    assert str(growing).startswith(claim)


@pytest.mark.parametrize(("value", "growth"), [(3.0, "O(n)"), (math.inf, "O(n)"), (math.nan, "")])
def test_a_bound_has_a_number_or_a_growth_and_not_both(value, growth):
    message = f"bound on bits: value is {value} and growth is {growth!r}; it must have a number, or NaN and a growth"
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        dataclasses.replace(bound(1.0), value=value, growth=growth)


def test_one_line_says_everything():
    line = str(bound(64.0))
    assert "\n" not in line
    for part in ("bits: at least 64", "zero error", "any reader", "a query after the string", "counting"):
        assert part in line


def test_the_kind_of_error_is_printed():
    average = dataclasses.replace(bound(0.5, "accuracy"), error="average under the task's sampler")
    assert "average under the task's sampler" in str(average)
    assert "zero error" not in str(average)


def test_whole_numbers_of_any_kind_become_python_integers():
    assert type(whole("here", "size", np.int64(7), least=1)) is int


@pytest.mark.parametrize(("value", "shown"), [(2.5, "2.5"), ("8", "'8'"), (None, "None"), (0, "0"), (-3, "-3")])
def test_what_is_no_whole_number_in_range_is_refused(value, shown):
    with pytest.raises(UsageError, match=f"^here: size is {shown}; it must be an integer of at least 1$"):
        whole("here", "size", value, least=1)
