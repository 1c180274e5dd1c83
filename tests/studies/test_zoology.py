"""What zoology's recall plans at the published sizes, and the bits that it reads off losses and accuracies."""

import math

import pytest

from statewise.bounds import best_accuracy, required_bits
from statewise.report.study import verdict_of
from statewise.studies.zoology import mqar
from statewise.studies.zoology.recovered import bits_of_accuracy, recovered_bits
from statewise.tasks import MQAR, from_identity
from studies.made_up import result, trained, values


def test_the_plan_is_that_of_the_published_code():
    runs = mqar.plan("paper")
    shapes = {(from_identity(run.task).length(*run.training.sizes), *run.training.sizes) for run in runs}
    assert shapes == {(64, 4), (128, 8), (256, 16), (512, 64)}
    assert {run.model.vocabulary for run in runs} == {from_identity(run.task).vocabulary(64) for run in runs} == {8192}
    assert sorted({run.training.learning_rate for run in runs}) == pytest.approx(
        [1e-4, 4.6416e-4, 2.1544e-3, 1e-2], rel=1e-4
    )
    assert {run.model.width for run in runs} == {64, 128, 256, 512}
    steps = {(*run.training.sizes, run.training.batch_size, run.training.steps) for run in runs}
    assert steps == {(4, 512, 12_544), (8, 512, 12_544), (16, 256, 25_024), (64, 128, 50_048)}
    assert {(run.model.depth, run.model.feed_forward, run.model.norm) for run in runs} == {(2, 0, "layer")}
    assert {run.training.weight_decay for run in runs} == {0.1}
    assert {(run.task["filler"], run.task["power"], run.task["replace_values"]) for run in runs} == {
        ("blank", 0.01, False)
    }
    for run in runs:
        attending = run.model.stack == "attention"
        assert run.model.positions == ("learned" if attending else "none")
        assert run.model.mixer_settings == ((f"head_size={run.model.width}",) if attending else ())


@pytest.mark.parametrize("repeat", [False, True])
def test_a_reader_that_knows_nothing_recovers_nothing_and_one_that_knows_all_everything(repeat):
    task = MQAR(keys=16, values=16, replace_values=repeat)
    required = required_bits(task, 4).value
    assert recovered_bits(task, 4, 0.0) == required
    guessing = recovered_bits(task, 4, math.log(16))
    assert guessing == pytest.approx(0.0 if repeat else required - 16.0)
    assert guessing <= 1e-9
    assert recovered_bits(task, 4, math.log(16) / 2) == pytest.approx(required - 8)


def test_the_bits_of_an_accuracy_are_the_least_that_the_bound_allows():
    task = MQAR(keys=64, values=32)
    for accuracy in (1 / 32, 0.1, 0.35, 0.7, 0.95, 1.0):
        bits = bits_of_accuracy(task, 8, accuracy)
        assert best_accuracy(task, 8, bits).value >= accuracy
        assert bits == 0 or best_accuracy(task, 8, bits - 1).value < accuracy
    assert bits_of_accuracy(task, 8, 1.0) == math.ceil(required_bits(task, 8).value)


def of(run):
    """Attention recalls all, recurrent models the more the wider they are, at rates of bits to match."""
    (pairs,) = run.evaluation.sizes
    if run.model.stack == "attention":
        return result(pairs, 1.0, loss=0.0, state_bits=5000)
    return result(pairs, run.model.width / 100, loss=math.log(128) / 2, state_bits=64 * run.model.width)


def test_bits_of_the_state_stand_beside_those_that_are_read_and_required(tmp_path):
    findings = mqar.read("small", trained(tmp_path, mqar.plan("small"), of))
    few, more = findings.grids
    task = from_identity(mqar.plan("small")[0].task)
    required = required_bits(task, 8).value
    assert more.title == f"8 pairs in 32 tokens: {required:,.1f} bits are required"
    assert few.title.startswith("4 pairs in 16 tokens")
    assert more.rows[0] == ("attention", "16", "1.000", "5,000", f"{required:,.1f}", str(math.ceil(required)))
    halved = f"{required - 28:,.1f}"
    assert more.rows[3][:5] == ("rwkv4", "16", "0.160", "1,024", halved)
    assert int(more.rows[3][5]) == bits_of_accuracy(task, 8, 0.16)


def test_the_bound_is_on_the_plot_of_bits(tmp_path):
    findings = mqar.read("small", trained(tmp_path, mqar.plan("small"), of))
    (chart,) = [chart for chart in findings.charts if chart.name == "bits-32-8"]
    task = from_identity(mqar.plan("small")[0].task)
    (mark,) = chart.marks
    assert (mark.axis, mark.at) == ("y", required_bits(task, 8).value)
    mamba = {curve.label: curve for curve in chart.curves}["mamba"]
    assert [x for x, _ in mamba.points] == [1024, 2048, 4096]
    assert mamba.points[0][1] == pytest.approx((required_bits(task, 8).value - 28,) * 3)


def test_attention_is_claimed_at_every_width_and_recurrence_by_width(tmp_path):
    findings = mqar.read("small", trained(tmp_path, mqar.plan("small"), of))
    assert {verdict_of(quantity) for quantity in findings.quantities} == {"agrees"}
    assert values(findings)["accuracy of width 64 minus 16, mamba, 8 pairs in 32 tokens"] == pytest.approx((0.48,) * 3)
    assert len(findings.quantities) == 5


def test_a_model_that_did_not_finish_is_a_row_of_dashes(tmp_path):
    lost = trained(tmp_path, mqar.plan("small"), lambda run: None if run.model.stack == "mamba" else of(run))
    findings = mqar.read("small", lost)
    assert findings.grids[0].rows[-1] == ("mamba", "64", "–", "–", "–", "–")
    assert values(findings)["accuracy of width 64 minus 16, mamba, 8 pairs in 32 tokens"] == ()
