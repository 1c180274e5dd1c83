"""Lengths of time, read and spoken."""

import pytest

from statewise.core.durations import leading_seconds, seconds_of, spoken
from statewise.core.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("5m", 300), ("1.5h", 5400), ("0.25", 0.25), (" 2h ", 7200), ("0.5m", 30), ("007s", 7)],
)
def test_times_are_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0.0h", "-5", "5d", "5 m", "m", "1h30m", "1e3", ".5", "5.", "inf", "nan", "５", "five"]
)
def test_what_is_no_positive_time_is_refused_with_what_was_written(text):
    with pytest.raises(UsageError, match=f"^time is '{text}'; write a positive number of seconds, or 90s, 5m, 1.5h$"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (7.25, "7.2 s"),
        (59.9, "59.9 s"),
        (60, "1 min 0 s"),
        (119.6, "2 min 0 s"),
        (125, "2 min 5 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (4000, "1 h 7 min"),
        (7199, "2 h 0 min"),
        (100_000, "27 h 47 min"),
    ],
)
def test_times_are_spoken_to_the_nearest_smaller_unit(seconds, words):
    assert spoken(seconds) == words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("8 s of CPU time", 8),
        ("2.7 min of CPU time", 162),
        ("1.5 h", 5400),
        ("under a second", None),
        ("5 processes of a second", None),
        ("3 seeds", None),
        ("", None),
        ("up to 30 min", None),
    ],
)
def test_the_time_that_words_begin_with_is_read(text, seconds):
    assert leading_seconds(text) == seconds
