"""The linear-attention teacher, built: exactly of a gated LRU, and of an LSTM as near as its signals are small."""

import dataclasses

import pytest
import torch

from statewise.constructions.gated_attention import FORMS
from statewise.constructions.linear_attention import gated_lru, lstm
from statewise.core import UsageError

UNITS = {"dense": 20, "compact": 14, "side": 16, "compact-side": 10}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dim", "size"), [(1, 1), (2, 9), (4, 33), (6, 6)])
def test_the_teacher_is_met_to_the_last_bit(dim, size, form):
    construction = gated_lru(size, dim=dim, teacher=dim, form=form)
    assert construction.sizes == (1, size)
    for smaller in construction.sizes:
        verification = construction.verify(smaller, examples=64)
        assert verification.exact, verification.first


@pytest.mark.parametrize("form", FORMS)
def test_it_is_as_exact_on_a_long_sequence(form):
    assert gated_lru(4096, form=form).verify(examples=2).exact


@pytest.mark.parametrize("form", FORMS)
def test_its_units_are_the_theorems(form):
    mixer = gated_lru(6, form=form).model.blocks[0].mixer
    assert mixer.units == UNITS[form]
    assert set(mixer.decay.tolist()) == ({1.0} if "side" in form else {0.0, 1.0})


@pytest.mark.parametrize("form", FORMS)
def test_without_any_one_unit_it_fails(form):
    for unit in range(UNITS[form]):
        construction = gated_lru(6, form=form)
        with torch.no_grad():
            construction.model.blocks[0].mixer.write.weight[unit] = 0
        assert construction.verify(examples=32).mistakes == 32


def test_a_decay_that_is_not_quite_1_fails():
    construction = gated_lru(64)
    with torch.no_grad():
        construction.model.blocks[0].mixer.decay[0] -= 1e-4
    assert not construction.verify(examples=32).exact


def in_float32(construction):
    return dataclasses.replace(construction, model=construction.model.float(), precision=torch.float32)


def test_in_float32_sums_are_rounded_visibly():
    verification = in_float32(gated_lru(256)).verify(examples=32)
    assert not verification.exact
    assert verification.worst < 1e-4


def errors(epsilons, *, convert=lambda construction: construction):
    """The LSTM's largest error at d = 3 and 10 tokens, a share of the largest target, for each ε."""
    return [convert(lstm(1, dim=3, epsilon=epsilon)).verify(10, examples=128).worst for epsilon in epsilons]


def test_the_lstms_error_falls_as_the_square_of_epsilon():
    large, middle, small, least = errors([3e-2, 1e-2, 1e-3, 1e-4])
    assert large / middle == pytest.approx(9, rel=0.05)
    assert middle / small == pytest.approx(100, rel=0.05)
    # At the least ε targets, which are float32, are rounded as much.
    assert least < 1e-6


def test_in_float32_the_lstms_error_turns():
    large, middle, small, least = errors([3e-2, 1e-2, 3e-3, 1e-3], convert=in_float32)
    assert middle < large / 5
    assert small > 2 * middle
    assert least > 3 * small


@pytest.mark.parametrize(("dim", "size", "settings"), [(1, 4, {}), (2, 20, {}), (4, 64, {}), (3, 1, {"epsilon": 0.03})])
def test_the_lstm_keeps_within_its_tolerance(dim, size, settings):
    construction = lstm(size, dim=dim, teacher=1, **settings)
    assert construction.tolerance <= 0.1
    assert construction.sizes == (1, size)
    for smaller in construction.sizes:
        verification = construction.verify(smaller, examples=64)
        assert verification.exact, verification.first


def test_without_any_one_cell_the_lstm_fails():
    for cell in range(4 * 2**2):
        construction = lstm(8, dim=2)
        with torch.no_grad():
            construction.model.head.weight[:, cell] = 0
        assert construction.verify(examples=16).mistakes == 16


def test_forget_gates_are_open_to_the_bit():
    cell = lstm(4, dim=2).model.blocks[0].mixer.cell
    forget = torch.sigmoid(cell.bias_ih_l0.unflatten(0, (4, -1))[1, :16])
    assert torch.equal(forget, torch.ones(16, dtype=torch.float64))


@pytest.mark.parametrize(
    ("build", "size", "settings", "message"),
    [
        (gated_lru, 0, {}, r"linear-attention/gated-lru: size is 0; it must be in \[1, 16384\]"),
        (gated_lru, 4, {"form": "sparse"}, "unknown form of linear attention 'sparse'"),
        (gated_lru, 4, {"dim": 0}, "linear-attention-teacher: dim is 0"),
        (lstm, 0, {}, r"linear-attention/lstm: size is 0; it must be in \[1, 4996\]"),
        (lstm, 2, {"epsilon": 0.03}, r"size is 2; it must be in \[1, 1\]: the error grows with tokens times epsilon²"),
        (lstm, 4, {"epsilon": 0.1}, r"linear-attention/lstm: epsilon is 0.1; it must be in \[0.0001, 0.03\]"),
    ],
)
def test_what_cannot_be_built_is_refused(build, size, settings, message):
    with pytest.raises(UsageError, match=message):
        build(size, **settings)
