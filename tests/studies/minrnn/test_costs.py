"""What the studies of cost measure and count, and what they read off measurements that are made up."""

import pytest
import torch
from torch import nn

from statewise.report.study import verdict_of
from statewise.studies.measurement import Measured, Measurement, in_a_process
from statewise.studies.minrnn import inference, parameters, speed
from statewise.studies.minrnn.contenders import CONTENDERS, LoopedGRU, LoopedLSTM, build
from statewise.studies.study import Trained
from statewise.testing import assert_close

MACHINE = {"processor": "a processor", "cores": 2, "threads": 2, "torch": "2.x"}


def measured(measurements, numbers_of, load=0.0):
    return {
        each.key: Measured(settings=each.settings, machine=MACHINE, load=load, numbers=numbers_of(each.settings))
        for each in measurements
    }


@pytest.mark.parametrize(("looped", "whole"), [(LoopedGRU, nn.GRU), (LoopedLSTM, nn.LSTM)])
def test_a_loop_is_torchs_own_layer_with_the_same_weights(looped, whole):
    torch.manual_seed(0)
    loop, layer = looped(5).double(), whole(5, 5, batch_first=True).double()
    with torch.no_grad():
        for mine, theirs in zip(loop.cell.parameters(), layer.parameters(), strict=True):
            theirs.copy_(mine)
    x = torch.randn(2, 9, 5, dtype=torch.float64)
    assert_close("outputs", loop(x), layer(x)[0])


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_layer_is_causal_and_keeps_the_shape(name):
    torch.manual_seed(0)
    layer, x = build(name, 8), torch.randn(2, 6, 8)
    y = layer(x)
    assert y.shape == x.shape
    assert_close("outputs of a part", layer(x[:, :4]), y[:, :4])


def test_a_training_step_is_timed_at_every_length_in_every_round():
    found = speed.train_steps("minGRU", batch=2, width=4, lengths=[4, 8], rounds=3, repeats=2)
    assert [len(rounds) for rounds in found["seconds"]] == [3, 3]
    assert min(min(found["seconds"])) > 0
    assert all(number >= 0 for number in found["bytes"])


def test_a_large_activation_is_seen_in_the_memory():
    settings = {"layer": "GRU of torch", "batch": 64, "width": 64, "lengths": [8, 1024], "rounds": 1, "repeats": 1}
    small, large = in_a_process(Measurement(work=speed.train_steps, settings=settings))["bytes"]
    # Inputs and outputs of 64 · 1024 tokens of 64 channels in float32: 16 MiB for each; gates and gradients besides.
    assert large - small > 2 * 16 * 2**20


def test_ratios_are_taken_round_by_round_and_stand_beside_the_papers():
    slow = {"GRU as a loop": 100.0, "LSTM as a loop": 50.0, "GRU of torch": 4.0, "LSTM of torch": 2.0, "Mamba": 3.0}

    def numbers(settings):
        times = slow.get(settings["layer"], 1.0)
        size = 3 if settings["layer"].startswith("min") else 2
        lengths = settings["lengths"]
        return {"seconds": [[times, 2 * times, times] for _ in lengths], "bytes": [size * length for length in lengths]}

    findings = speed.read("small", Trained(None, [], measured(speed.measurements("small"), numbers, load=3.0)))
    found = {quantity.name: quantity for quantity in findings.quantities}
    loop = found["time: GRU as a loop over minGRU, T = 4096"]
    assert (loop.values, loop.published.value) == ((100.0,) * 3, 1324)
    assert verdict_of(loop) == "not comparable: the paper's is on a T4 GPU, this on a CPU"
    assert found["time: LSTM of torch over minLSTM, T = 128"].published is None
    assert found["memory: minGRU over GRU as a loop, T = 4096"].values == (1.5,)
    assert found["time: Mamba over minGRU, T = 512"].values == (3.0,) * 3
    time, memory = findings.charts
    assert {curve.label: curve.points for curve in time.curves}["Mamba"][0] == (128.0, (3000.0, 6000.0, 3000.0))
    assert {curve.label for curve in memory.curves} == set(CONTENDERS)
    assert "Measured on a processor, 2 cores, 2 threads, torch 2.x." in findings.notes
    assert any(note.startswith("Up to 3.0 other processes") for note in findings.notes)


def test_memory_of_which_nothing_was_seen_gives_no_ratio():
    seen = dict.fromkeys(CONTENDERS, 0) | {"minGRU": 4, "Mamba": 12}

    def numbers(settings):
        return {
            "seconds": [[1.0]] * len(settings["lengths"]),
            "bytes": [seen[settings["layer"]]] * len(settings["lengths"]),
        }

    findings = speed.read("small", Trained(None, [], measured(speed.measurements("small"), numbers)))
    assert [quantity.values for quantity in findings.quantities if quantity.name.startswith("memory")] == [(), (), (3,)]
    assert not [note for note in findings.notes if "other processes" in note]


def test_the_published_lengths_and_batch_stand_at_paper():
    for each in speed.measurements("paper"):
        assert (each.settings["batch"], each.settings["repeats"]) == (64, 100)
        assert {512, 4096} <= set(each.settings["lengths"])
    assert {each.settings["batch"] for each in inference.measurements("paper")} == {8, 16, 32, 64}
    assert {each.settings["repeats"] for each in inference.measurements("paper")} == {50}
    assert {max(each.settings["contexts"]) for each in inference.measurements("paper")} == {2048}


def test_a_context_is_read_and_followed_by_a_token():
    found = inference.infer("minLSTM", batch=2, width=4, contexts=[4, 8], rounds=2, repeats=1)
    assert len(found["none"]) == 2
    assert [len(rounds) for key in ("read", "after") for rounds in found[key]] == [2] * 4


def test_shares_of_time_are_in_percent_of_the_other_layer():
    def numbers(settings):
        times = {"minGRU": 0.9, "minLSTM": 1.1, "Mamba": 1.0, "GRU of torch": 1.8, "LSTM of torch": 2.2}
        one, contexts = times[settings["layer"]], len(settings["contexts"])
        return {
            "none": [one] * 3,
            "read": [[9.0] * 3] * (contexts - 1) + [[one] * 3],
            "after": [[2 * one] * 3] * contexts,
        }

    findings = inference.read("small", Trained(None, [], measured(inference.measurements("small"), numbers)))
    found = {quantity.name: quantity for quantity in findings.quantities}
    against = found["minGRU: percent of Mamba's time, 2048 tokens and one, batch 16"]
    assert (against.values, against.published.value) == (pytest.approx((90,) * 3), 95.9)
    alone = found["minLSTM: percent of LSTM of torch's time, one token, batch 64"]
    assert (alone.values, alone.published.value) == (pytest.approx((50,) * 3), 58.5)
    assert verdict_of(alone).startswith("not comparable: the paper's is on a T4")
    longer = found["minGRU: one token after 2048, percent of one after 128, batch 64"]
    assert (longer.values, longer.published) == (pytest.approx((100,) * 3), None)


def test_parameters_are_counted_and_agree_with_what_is_published():
    findings = parameters.read("small", None)
    assert [round(quantity.values[0]) for quantity in findings.quantities] == [33, 22, 17, 13, 38, 25, 19, 15]
    assert {verdict_of(quantity) for quantity in findings.quantities} == {"agrees"}
    (grid,) = findings.grids
    assert grid.rows[2] == ("minGRU / GRU, and the map back to d_x, biases too", "50.0", "33.4", "25.1", "20.1")


def test_shares_of_weights_are_the_derived_ones():
    for expansion in parameters.EXPANSIONS:
        gru, lstm = (parameters.shares(pair, expansion).weights for pair in parameters.PAIRS)
        assert gru == pytest.approx(100 * 2 / (3 * (1 + expansion)))
        assert lstm == pytest.approx(100 * 3 / (4 * (1 + expansion)))
