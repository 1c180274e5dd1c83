"""Training settings: the schedule in numbers, and what is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.core.errors import UsageError
from statewise.training import TrainingConfig


def config(**options):
    return TrainingConfig(**{"sizes": (8,), "learning_rate": 2.0, "warmup": 10, **options})


@pytest.mark.parametrize(
    ("step", "fraction", "rate"),
    [
        (0, 0.0, 0.2),
        (4, 0.0, 1.0),
        (9, 0.0, 2.0),
        (10, 0.0, 2.0),
        (99, 0.5, 1.0),
        (99, 1 / 3, 1.5),
        (99, 2 / 3, 0.5),
        (99, 1.0, 0.0),
        (99, 1.7, 0.0),
        (4, 0.5, 0.5),
    ],
)
def test_the_schedule_is_warm_up_times_cosine(step, fraction, rate):
    assert config().rate(step, fraction) == pytest.approx(rate, abs=1e-12)


def test_a_constant_schedule_is_warm_up_alone():
    rates = [config(schedule="constant").rate(step, fraction) for step, fraction in [(4, 0.0), (10, 0.5), (99, 1.0)]]
    assert rates == [1.0, 2.0, 2.0]


def test_without_warm_up_the_first_step_has_the_whole_rate():
    assert config(warmup=0).rate(0, 0.0) == config(warmup=1).rate(0, 0.0) == 2.0


@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None, derandomize=True, max_examples=50)
def test_the_rate_stays_in_range_and_falls_with_the_budget(step, one, other):
    early, late = sorted((one, other))
    assert 0 <= config().rate(step, late) <= config().rate(step, early) <= 2.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": ()}, "there are no sizes to train on"),
        ({"steps": -1}, "steps is -1; it must be at least 0"),
        ({"batch_size": -1}, "batch_size is -1; it must be at least 1"),
        ({"evaluate_every": 0}, "evaluate_every is 0; it must be at least 1"),
        ({"validation": 0}, "validation is 0; it must be at least 1"),
        ({"time": 0.0}, "time is 0.0 seconds; it must be positive"),
        ({"time": -1.0}, "time is -1.0 seconds; it must be positive"),
        ({"time": math.inf}, "time is inf seconds; it must be positive"),
        ({"time": math.nan}, "time is nan seconds; it must be positive"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0 and clip is 1.0; both must be positive"),
        ({"learning_rate": -1e-3}, "learning_rate is -0.001 and"),
        ({"learning_rate": math.nan}, "learning_rate is nan and"),
        ({"learning_rate": math.inf}, "learning_rate is inf and"),
        ({"clip": 0.0}, "clip is 0.0; both must be positive"),
        ({"clip": math.nan}, "clip is nan; both must be positive"),
    ],
)
def test_bad_settings_are_refused_with_their_value(options, message):
    with pytest.raises(UsageError, match=f"^training: .*{message}"):
        config(**options)


def test_an_unknown_schedule_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="unknown schedule 'cosin': did you mean cosine"):
        config(schedule="cosin")


def test_the_smallest_settings_are_accepted():
    least = {"steps": 0, "batch_size": 1, "evaluate_every": 1, "validation": 1, "time": 1e-3, "clip": math.inf}
    accepted = config(**least, weight_decay=0.0)
    assert {name: getattr(accepted, name) for name in least} == least
