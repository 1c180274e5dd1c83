"""What the meter read, in rows and sentences."""

import dataclasses

import pytest

from statewise.report.capacity import capacity_cells, every_string_was_read, render_capacity, saturation_of
from statewise.report.interval import interval
from statewise.report.selection import Selection
from statewise.report.summary import Row, summarise
from statewise.report.verdict import Verdict
from statewise.tasks import IndexLookup


def row(size, recovered, **changes):
    task = IndexLookup(alphabet=16)
    one = interval([1.0])
    made = Row(
        task=task, stack="gru", size=size, token_accuracy=one, sequence_accuracy=one, loss=one,
        recovered=interval(recovered), recovered_at_least=min(recovered) - 1, state_bits=64, required_bits=4.0 * size,
        best_accuracy=None, verdict=Verdict("solved", "solved"), selection=Selection(0.01, ()), solved=1, seeds=1,
        best=None, seconds=1.0, wall_clock=False,
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def test_a_row_says_what_was_recovered_of_what():
    assert capacity_cells(row(8, [16.0, 16.0]), exact=False) == [
        "gru",
        "8",
        "16.0 ±0.0",
        "15.0",
        "50.0 %",
        "64",
        "25.0 %",
    ]


def test_less_than_nothing_is_nothing():
    assert capacity_cells(row(8, [-3.0]), exact=False)[3:5] == ["0.0", "0.0 %"]


def test_what_is_exact_has_no_limit():
    assert capacity_cells(row(8, [16.0, 16.0]), exact=True)[2:4] == ["16.0 ±0.0", "exact"]


@pytest.mark.parametrize(
    ("limits", "exact"),
    [([5.0, 7.0], True), ([5.0, 6.9], False), ([4.9, 7.0], False)],
    ids=["of every seed", "not of the second", "not of the first"],
)
def test_a_row_is_exact_where_every_string_was_read_for_every_seed(record, limits, exact):
    task = IndexLookup(alphabet=16)
    made = [record(task, "gru", seed, [(2, 1.0, 1.0, 64), (8, 1.0, 1.0, 64)]) for seed in range(2)]
    made = [
        dataclasses.replace(
            each,
            results=(
                dataclasses.replace(each.results[0], recovered_bits=bits, recovered_at_least=limit),
                dataclasses.replace(each.results[1], recovered_bits=20.0, recovered_at_least=19.0),
            ),
        )
        for each, bits, limit in zip(made, [5.0, 7.0], limits, strict=True)
    ]
    summary = summarise(made)
    assert [every_string_was_read(row) for row in summary.rows] == [exact, False]
    column = list(render_capacity(summary).columns[3].cells)
    assert column == ["exact" if exact else f"{min(limits):.1f}", "19.0"]


def test_the_saturation_point_is_where_strings_are_no_longer_whole():
    rows = [row(4, [15.9]), row(8, [31.6]), row(16, [40.0])]
    assert (
        saturation_of("gru", rows)
        == "gru holds strings whole at sizes 4, 8; at most 40 bits were read back, at size 16."
    )
    assert saturation_of("gru", rows[2:]) == "gru holds no string whole; at most 40 bits were read back, at size 16."
