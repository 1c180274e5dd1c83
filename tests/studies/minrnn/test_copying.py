"""What the studies of selective copying read off records that are made up, and what they plan."""

import pytest

from statewise.models import build_model
from statewise.report.study import verdict_of
from statewise.studies.minrnn import forget_bias, layers, selective_copying
from statewise.studies.minrnn.copying import SCALES, copying_runs
from statewise.tasks import SelectiveCopying, from_identity


def by_name(findings):
    return {quantity.name: quantity for quantity in findings.quantities}


def test_each_layer_is_compared_with_the_one_before_seed_by_seed(bench):
    accuracies = {1: (0.3, 0.4, 0.5), 2: (0.8, 0.9, 0.6), 3: (0.85, 0.9, 0.55)}
    for depth, values in accuracies.items():
        for mixer in ("mingru", "minlstm"):
            for run, value in zip(copying_runs("small", mixer, depth), values, strict=True):
                bench.finish(run, accuracy=value)
    found = by_name(layers.read("small", bench.trained()))
    assert found["accuracy of minGRU, 2 layers"].values == (0.8, 0.9, 0.6)
    assert found["minLSTM: layer 2 adds"].values == pytest.approx((0.5, 0.5, 0.1))
    assert verdict_of(found["minLSTM: layer 2 adds"]) == "agrees"
    assert found["minLSTM: layer 2 adds"].published.value == 0.481
    assert verdict_of(found["minGRU: layer 3 adds"]) == "agrees"
    assert verdict_of(found["accuracy of minGRU, 3 layers"]).startswith("not comparable: a shorter task")


def test_a_seed_that_did_not_finish_is_compared_with_nothing(bench):
    first, _, last = copying_runs("small", "mingru", 1)
    bench.finish(first, accuracy=0.2)
    bench.finish(last, accuracy=0.3)
    for run in copying_runs("small", "mingru", 2)[:2]:
        bench.finish(run, accuracy=0.9)
    found = by_name(layers.read("small", bench.trained()))
    assert found["minGRU: layer 2 adds"].values == pytest.approx((0.7,))


def test_at_paper_an_accuracy_is_compared_within_three_of_its_spreads(bench):
    for run, value in zip(copying_runs("paper", "mingru", 1), (0.31, 0.43, 0.37), strict=True):
        bench.finish(run, accuracy=value)
    for run in copying_runs("paper", "mingru", 2):
        bench.finish(run, accuracy=0.8)
    found = by_name(layers.read("paper", bench.trained()))
    assert verdict_of(found["accuracy of minGRU, 1 layer"]) == "agrees"
    assert verdict_of(found["accuracy of minGRU, 2 layers"]) == "differs"


def test_what_selects_is_compared_with_what_cannot(bench):
    for model in selective_copying.MODELS:
        for run in selective_copying.runs_of("small", model):
            accuracy = {"s4d*2": 0.2, "mamba*2": 0.45}.get(run.model.stack, 0.9)
            bench.finish(run, accuracy=accuracy, curve=((100, 2.0, 0.1), (200, 1.0, accuracy)))
    findings = selective_copying.read("small", bench.trained())
    found = by_name(findings)
    assert found["minGRU copies more than S4 by"].values == pytest.approx((0.7,) * 3)
    assert verdict_of(found["minGRU copies more than S4 by"]) == "agrees"
    assert verdict_of(found["Mamba copies more than S4 by"]) == "differs"
    (chart,) = findings.charts
    assert {curve.label: curve.points for curve in chart.curves}["S4"] == ((100, (0.1,) * 3), (200, (0.2,) * 3))
    (grid,) = findings.grids
    assert dict(zip(grid.headings, grid.rows[2], strict=True))["S6 inside"] == "99.8"


def test_a_larger_bias_is_sooner_and_steadier_where_its_curve_is_lower_and_falls(bench):
    curves = {
        0.0: ((1, 3.0, 0.0), (2, 4.0, 0.0), (3, 2.0, 0.0)),
        3.0: ((1, 2.0, 0.0), (2, 2.5, 0.0)),
        5.0: ((1, 2.0, 0.0), (2, 1.0, 0.0), (3, 0.0, 0.0)),
    }
    for bias, curve in curves.items():
        for run in forget_bias.runs_of("small", bias):
            bench.finish(run, accuracy=bias / 10, curve=curve)
    for run in forget_bias.min_gru_runs("small"):
        bench.finish(run, curve=((1, 1.0, 0.0), (2, 2.0, 0.0)))
    found = by_name(forget_bias.read("small", bench.trained()))
    sooner, steadier, stable = list(found.values())[:3]
    assert (sooner.values, verdict_of(sooner)) == (pytest.approx((1 / 3,) * 3), "agrees")
    assert (steadier.values, verdict_of(steadier)) == ((-1.0,) * 3, "agrees")
    assert (stable.values, verdict_of(stable)) == ((0.5,) * 3, "differs")
    assert found["accuracy at the end, bias 5"].values == (0.5,) * 3


def test_the_published_settings_stand_at_paper():
    (run,) = {run.name: run for run in copying_runs("paper", "minlstm", 3)[:1]}.values()
    task = from_identity(run.task)
    assert task == SelectiveCopying(data=16, symbols=14, layout="minrnn")
    assert (run.training.sizes, task.length(4096), task.vocabulary(4096)) == ((4096,), 4096 + 16, 16)
    assert (run.training.steps, run.training.batch_size, run.training.learning_rate) == (400_000, 64, 1e-4)
    assert (run.training.schedule, run.training.warmup, run.training.weight_decay) == ("constant", 0, 0.0)
    assert run.training.clip == 1.0
    model = build_model(run.model)
    assert (run.model.width, len(model.blocks), model.blocks[0].mixer.units) == (64, 3, 6 * 64)
    assert run.model.dropout == 0.1
    assert model.blocks[0].conv is model.blocks[0].feed_forward is None


def test_the_first_table_has_one_to_three_layers_of_both():
    asked = {run.model.stack for run in layers.plan("paper")}
    assert asked == {f"{mixer}*{depth}" for mixer in ("mingru", "minlstm") for depth in (1, 2, 3)}


@pytest.mark.parametrize("scale", SCALES)
def test_runs_that_several_studies_need_are_made_once(scale):
    three = {run.name for run in layers.plan(scale) if run.model.stack.endswith("*3")}
    assert three <= {run.name for run in selective_copying.plan(scale)}
    assert three <= {run.name for run in forget_bias.plan(scale)}


def test_the_bias_is_in_the_model_and_those_that_have_no_expansion_keep_their_own():
    biases = {
        bias: build_model(forget_bias.runs_of("smoke", bias)[0].model)
        .blocks[0]
        .mixer.projection.bias[:16]
        .mean()
        .item()
        for bias in forget_bias.BIASES
    }
    assert biases[5.0] - biases[0.0] == pytest.approx(5, abs=0.5)
    assert biases[3.0] - biases[0.0] == pytest.approx(3, abs=0.5)
    mamba = build_model(copying_runs("paper", "mamba", 2)[0].model).blocks[0].mixer
    assert mamba.channels == 2 * 64
