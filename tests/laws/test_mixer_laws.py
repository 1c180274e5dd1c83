"""Every law of a mixer, over every member of MIXERS and its options, at several widths and two dtypes."""

import pytest
import torch

from statewise.core.random import seeded
from statewise.mixers import GRU, LSTM, MIXERS, Attention, MinGRU, MinLSTM, Mixer, ScanMixer, ShortConv
from statewise.testing import MIXER_LAWS


class Signed(ScanMixer):
    """A user's own mixer, with decays of either sign."""

    projections = 2

    def decay_and_drive(self, gate, candidate):
        return gate.tanh(), candidate


VARIANTS = {
    **{name: (cls, {}) for name, cls in MIXERS.items()},
    "mingru, expansion 2, tanh": (MinGRU, {"expansion": 2, "activation": "tanh"}),
    "mingru, identity": (MinGRU, {"activation": "identity"}),
    "minlstm, not normalised": (MinLSTM, {"normalise": False, "expansion": 3}),
    "a user's own": (Signed, {}),
    "short convolution": (ShortConv, {}),
    "convolution of one tap": (ShortConv, {"taps": 1}),
    "attention, rope": (Attention, {"positions": "rope"}),
    "attention, rope, odd heads": (Attention, {"positions": "rope", "head_size": 3}),
}


def build(variant: str, width: int, dtype: torch.dtype) -> Mixer:
    cls, options = VARIANTS[variant]
    with seeded(0):
        return cls(width, **options).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("law", MIXER_LAWS)
def test_law_holds(law, variant, dtype):
    MIXER_LAWS[law](build(variant, 6, dtype))


@pytest.mark.parametrize("width", [2, 6, 32, 192, 256])
@pytest.mark.parametrize("name", MIXERS)
def test_builds_at_every_width_with_defaults(name, width):
    y, _ = MIXERS[name](width)(torch.zeros(1, 3, width))
    assert y.shape == (1, 3, width)


@pytest.mark.parametrize("name", MIXERS)
def test_forward_does_not_write_to_the_state_it_was_given(name):
    mixer = build(name, 6, torch.float64)
    with torch.no_grad():
        _, state = mixer(torch.randn(2, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
        kept = [leaf.clone() for leaf in state]
        mixer(torch.ones(2, 3, 6, dtype=torch.float64), state)
        mixer.step(torch.ones(2, 6, dtype=torch.float64), state)
    assert all(torch.equal(before, after) for before, after in zip(kept, state, strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_of_no_sequences_gives_none(variant):
    for reset in (None, torch.zeros(0, 5, dtype=torch.bool)):
        y, state = build(variant, 6, torch.float32)(torch.zeros(0, 5, 6), reset=reset)
        assert y.shape == (0, 5, 6)
        assert {len(leaf) for leaf in state} == {0}


@pytest.mark.parametrize("name", MIXERS)
def test_a_wrong_input_is_refused_with_its_shape(name):
    mixer = MIXERS[name](6)
    with pytest.raises(ValueError, match=r"x must be \(batch, time, 6\).\n  x  \(2, 6, 5\)"):
        mixer(torch.zeros(2, 6, 5))
    with pytest.raises(ValueError, match=r"reset  \(2, 4\) torch.bool"):
        mixer(torch.zeros(2, 5, 6), reset=torch.zeros(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"x  \(5, 6\)"):
        mixer(torch.zeros(5, 6))
    with pytest.raises(ValueError, match=r"reset  \(2, 5\) torch.int64"):
        mixer(torch.zeros(2, 5, 6), reset=torch.zeros(2, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match="width is 0"):
        MIXERS[name](0)


def test_a_law_notices_a_mixer_that_writes_to_its_reset():
    class Careless(Signed):
        def forward(self, x, state=None, *, reset=None):
            if reset is not None and reset.shape[1]:
                reset[:, 0] = True
            return super().forward(x, state, reset=reset)

    with pytest.raises(AssertionError, match="the reset was written to"):
        MIXER_LAWS["reset_is_separate_sequences"](Careless(6))


def test_every_mixer_goes_by_its_own_name():
    assert {name: cls.__name__.lower() for name, cls in MIXERS.items()} == {name: name for name in MIXERS}


def test_facts_that_bounds_rely_on():
    assert (Signed.recurrent, Signed.non_negative_decay) == (True, False)
    assert [cls.recurrent for cls in (MinGRU, MinLSTM, GRU, LSTM, Attention)] == [True, True, True, True, False]
    assert [cls.non_negative_decay for cls in (MinGRU, MinLSTM, GRU, LSTM, Attention)] == [True, True] + [False] * 3
