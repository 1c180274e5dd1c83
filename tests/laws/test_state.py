"""What a mixer says of its state: its size, and how it decays."""

import torch

from laws.variants import build, over_dtypes, over_variants
from statewise.mixers import GRU, LSTM, Attention, MinGRU, MinLSTM
from statewise.testing import MIXER_LAWS


@over_dtypes
@over_variants
def test_a_recurrent_state_has_constant_bits(variant, dtype):
    MIXER_LAWS["state_has_its_size"](build(variant, dtype))


@over_variants
def test_claims_about_decay_hold(variant):
    MIXER_LAWS["claims_about_decay_hold"](build(variant, torch.float64))


def test_facts_that_bounds_rely_on():
    assert [cls.recurrent for cls in (MinGRU, MinLSTM, GRU, LSTM, Attention)] == [True, True, True, True, False]
    assert [cls.non_negative_decay for cls in (MinGRU, MinLSTM, GRU, LSTM, Attention)] == [True, True] + [False] * 3
