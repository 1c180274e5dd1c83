"""What the studies of the cures read off records that are made up."""

import itertools

import pytest

from statewise.core.config import to_plain
from statewise.models import build_model
from statewise.runs import Record, Result, RunStore
from statewise.runs.record import FreeRunning, Validation
from statewise.studies.cures import istree, side_by_side
from statewise.studies.study import Trained


def result(size, accuracy, *, free=None, state_bits=64):
    return Result(
        size=size,
        loss=1.0,
        token_accuracy=accuracy,
        sequence_accuracy=accuracy,
        sequences=100,
        state_bits=state_bits,
        counter_bits=0,
        validation=Validation(loss=1.0, token_accuracy=accuracy, sequence_accuracy=accuracy),
        free=free,
    )


def freely(accuracy, *, unanswered=0.0, forced=1.0, searched_bits=0):
    return FreeRunning(
        accuracy=accuracy,
        unanswered=unanswered,
        forced=forced,
        calls=1.0,
        tokens=9.0,
        state_bits=64,
        searched_bits=searched_bits,
        sequences=100,
    )


def finished(run, results):
    return Record(config=to_plain(run), status="finished", because="", results=tuple(results))


def trained_istree(tmp_path, *, chain=0.97, half=False):
    """Every kind guesses at once, and is right step by step with some accuracy."""
    asked, records = istree.SCALES["small"], []
    for run in istree.plan("small"):
        direct = run.task["name"] == "is-tree"
        free = None if direct else freely(chain, unanswered=0.02 if half else 0.0)
        records.append(finished(run, [result(size, 0.5 if direct else 0.1, free=free) for size in asked.asked]))
    return Trained(RunStore(tmp_path), records)


def test_step_by_step_the_accuracy_is_that_of_running_freely(tmp_path):
    findings = istree.read("small", trained_istree(tmp_path))
    found = {quantity.name: quantity for quantity in findings.quantities}
    assert found["at once: best of all, n = 16"].values == (0.5,)
    assert found["chain of thought: Transformer, n = 16"].values == (0.97,)
    assert found["searches: worst of all, n = 16"].values == (0.97,)
    (charted,) = [chart for chart in findings.charts if chart.name == "retrieval"]
    assert charted.curves[0].points[0] == (8, (0.97,))


def test_a_cell_shows_the_two_other_ways_to_score(tmp_path):
    findings = istree.read("small", trained_istree(tmp_path, half=True))
    direct, chain, _ = findings.grids
    assert chain.headings == ("accuracy", *(f"n = {size}" for size in (8, 12, 16, 24, 32, 64, 128)))
    assert {row[0]: row[1] for row in chain.rows}["minGRU"] == "0.97 (0.98 | 1.00)"
    assert {row[0]: row[1] for row in direct.rows}["minGRU"] == "0.500"
    assert {row[0]: row[3] for row in chain.rows}["paper, Mamba 0.5M"] == "0.84"


def test_the_order_is_said_for_the_sizes_that_were_trained(tmp_path):
    lines = istree.read("small", trained_istree(tmp_path)).notes
    assert any(
        line.startswith("chain-of-thought, n = 8, 12, 16: Mamba 0.97, 0.97, 0.97; Transformer") for line in lines
    )


def test_models_are_of_the_size_that_is_claimed():

    for run in istree.plan("small"):
        parameters = sum(parameter.numel() for parameter in build_model(run.model).parameters())
        assert 180_000 <= parameters <= 220_000, run.title


def test_the_long_runs_come_first():
    plan = istree.plan("small")
    assert (plan[0].model.stack, plan[0].task["name"]) == ("mamba*2", "chain-of-thought")
    assert {run.task["name"] for run in plan[-4:]} == {"is-tree"}


def test_the_paper_trains_every_size_apart_on_so_many_graphs():
    runs = istree.plan("paper")
    assert {run.training.sizes for run in runs} == {(16,), (32,), (64,), (128,)}
    assert all(run.training.steps * run.training.batch_size == 5_000_000 for run in runs)


@pytest.mark.parametrize(
    ("accuracies", "size"), [((1.0, 0.96, 0.94, 1.0), 2), ((0.9, 1.0, 1.0, 1.0), 0), ((1.0, 1.0, 1.0, 1.0), 8)]
)
def test_a_size_counts_where_all_smaller_ones_are_solved(accuracies, size):
    results = [result(2**i, each, state_bits=10 * 2**i) for i, each in enumerate(accuracies)]
    found = side_by_side.reached(results)
    assert (found.size, found.state_bits) == (size, 10 * max(size, 1))


def test_with_search_the_bits_of_the_text_stand_beside_those_of_the_state():
    found = side_by_side.reached([result(1, 0.0, free=freely(1.0, searched_bits=55)), result(2, 0.0, free=freely(0.5))])
    assert found == side_by_side.Reached(1, 64, 55)


def test_the_chart_has_a_curve_for_each_cure_and_the_proof(tmp_path):
    asked = side_by_side.SCALES["small"]
    records = [
        finished(
            run,
            [result(n, 1.0 if n <= 4 else 0.0, free=None if run.task["name"] == "associative-recall" else freely(1.0))
             for n in asked.sizes],
        )
        for run in side_by_side.plan("small")
    ]  # fmt: skip
    findings = side_by_side.read("small", Trained(RunStore(tmp_path), records))
    (drawn,) = findings.charts
    by_label = {curve.label: curve for curve in drawn.curves}
    assert by_label[side_by_side.RECURRENT].points[0] == (64, (4.0, 4.0, 4.0))
    assert by_label[side_by_side.SEARCH].points[0] == (64, (32.0, 32.0, 32.0))
    (proved,) = [curve for label, curve in by_label.items() if label == "proved limit"]
    assert [size for _, (size,) in proved.points] == list(asked.sizes)
    # Each further pair asks for its key and its value: the bits of the proof grow at least by those of a value.
    bits = [bits for bits, _ in proved.points]
    assert all(later - sooner >= 3 for sooner, later in itertools.pairwise(bits))
    verdicts = {quantity.name: quantity.values for quantity in findings.quantities}
    assert verdicts["pairs solved, recurrent, width 8"] == (4.0, 4.0, 4.0)
