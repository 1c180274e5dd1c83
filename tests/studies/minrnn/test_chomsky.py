"""What the study of formal languages reads off records that are made up, and what it plans."""

import pytest

from statewise.report.study import verdict_of
from statewise.studies.minrnn import chomsky
from statewise.tasks import EvenPairs, MissingDuplicate, from_identity


def test_accuracy_is_scaled_from_guessing_and_averaged_over_lengths(bench):
    for run in chomsky.runs_of("paper", EvenPairs(), "minlstm"):
        bench.finish(run, accuracy=lambda size: 1.0 if size < 148 else 0.5)
    found = {quantity.name: quantity for quantity in chomsky.read("paper", bench.trained()).quantities}
    quantity = found["even-pairs: scaled accuracy of minLSTM"]
    assert quantity.values == pytest.approx((108 / 217,) * 3)
    assert quantity.published.value == 1.0
    assert verdict_of(quantity).startswith("not comparable: the value is remembered faintly")
    assert found["even-pairs: scaled accuracy of minGRU"].published is None


def test_the_chart_has_each_length_and_where_training_ended(bench):
    for run in chomsky.runs_of("small", EvenPairs(), "mingru"):
        bench.finish(run, accuracy=lambda size: 0.75 if size == 40 else 0.5)
    charts = {chart.name: chart for chart in chomsky.read("small", bench.trained()).charts}
    chart = charts["mingru-lengths"]
    points = {curve.label: curve.points for curve in chart.curves}["even-pairs"]
    assert points[0] == (40.0, (0.5,) * 3)
    assert [size for size, _ in points] == [40, 76, 112, 148, 184, 220, 256]
    assert points[-1] == (256.0, (0.0,) * 3)
    assert [mark.at for mark in chart.marks] == [40]


def test_the_published_settings_stand_at_paper():
    runs = chomsky.plan("paper")
    assert len({run.task["name"] for run in runs}) == 5
    assert MissingDuplicate(layout="minrnn") in [from_identity(run.task) for run in runs]
    for run in runs:
        assert (run.training.steps, run.training.batch_size, run.training.learning_rate) == (500_000, 256, 3e-4)
        assert (run.training.weight_decay, run.training.clip, run.training.solved_at) == (0.01, 1e9, None)
        assert run.training.sizes == tuple(range(1, 41))
        assert run.evaluation.sizes == tuple(range(40, 257))
        assert (len(run.model.layers), run.model.width, run.model.conv, run.model.feed_forward) == (2, 256, 4, 0)
        assert (run.model.expansion, run.model.dropout) == (1, 0.0)
    assert {run.seed for run in runs} == {0, 1, 2}


def test_every_token_that_a_language_uses_has_an_embedding():
    for run in chomsky.plan("small"):
        assert run.model.vocabulary >= from_identity(run.task).vocabulary(256)
