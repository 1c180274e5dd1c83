"""What is chosen, is chosen on the validation split; what is reported, is the choice's test score."""

import pytest

from statewise.report import conclusions, summarise
from statewise.report.table import cells, headings, rate_lines
from statewise.tasks import Parity


def of_rate(record, rate, tests, validations, **more):
    pairs = enumerate(zip(tests, validations, strict=True))
    return [
        record(Parity(), "gru", seed, [(8, test, test, 64)], rate=rate, validation=chosen, **more)
        for seed, (test, chosen) in pairs
    ]


def test_the_rate_is_chosen_on_validation_though_another_is_better_on_test(record):
    made = of_rate(record, 0.01, [0.9, 0.8], [0.1, 0.1]) + of_rate(record, 0.001, [0.3, 0.4], [0.2, 0.3])
    summary = summarise(made)
    (row,) = summary.rows
    assert row.selection.learning_rate == 0.001
    assert row.sequence_accuracy.mean == pytest.approx(0.35)
    assert rate_lines(summary) == [
        "parity · gru: reported at learning rate 0.001, chosen by sequence accuracy on the validation split out of "
        "0.001 (25.0 %) and 0.01 (10.0 %)"
    ]
    assert "the validation split: 0.001 (25.0 %) and 0.01 (10.0 %); it has room" in conclusions(summary)[0]


def test_a_rate_that_breaks_seeds_does_not_win_by_the_lucky_one(record):
    broken = record(Parity(), "gru", 1, [], status="diverged", because="the loss was nan", rate=0.01)
    made = [*of_rate(record, 0.01, [1.0], [1.0]), broken, *of_rate(record, 0.001, [0.6, 0.6], [0.6, 0.6])]
    assert summarise(made).rows[0].selection.learning_rate == 0.001


def test_the_best_seed_is_chosen_on_validation_and_shown_only_when_asked(record):
    (row,) = summarise(of_rate(record, 0.01, [0.9, 0.4], [0.2, 0.3])).rows
    assert row.best.sequence_accuracy == 0.4
    assert "best of seeds %" not in headings(row.task)
    shown = dict(zip(headings(row.task, best_of_seeds=True), cells(row, best_of_seeds=True), strict=True))
    assert shown["best of seeds %"] == "40.0 (of 2)"
    assert shown["sequence acc. %"].startswith("65.0 ±")


def test_seeds_that_diverged_are_not_solved_and_those_that_crashed_were_not_run(record):
    solved = of_rate(record, 0.01, [1.0, 1.0], [1.0, 1.0])
    lost = [
        record(Parity(), "gru", seed, [], status=status, because="nan", rate=0.01)
        for seed, status in ((2, "diverged"), (3, "crashed"))
    ]
    (row,) = summarise([*solved, *lost]).rows
    assert (row.solved, row.seeds, row.verdict.text) == (2, 3, "solved by 2 of 3 seeds")


def test_what_no_run_finished_is_a_row_of_dashes(record):
    summary = summarise([record(Parity(), "gru", 0, [], status="crashed", because="MemoryError: ", sizes=(8, 16))])
    assert [(line.size, line.verdict.kind) for line in summary.untested] == [(8, "untested"), (16, "untested")]
    titles = headings(summary.untested[0].task)
    shown = dict(zip(titles, cells(summary.untested[0]), strict=True))
    assert shown == dict.fromkeys(titles, "–") | {"model": "gru", "size": "8", "verdict": "untested"}
    assert conclusions(summary) == ["parity: gru is untested: no run finished."]
