"""A reset makes separate sequences of one: nothing that is carried crosses it, forwards or backwards."""

import pytest

from laws.variants import Signed, build, over_dtypes, over_variants
from statewise.testing import MIXER_LAWS


@over_dtypes
@over_variants
def test_reset_is_separate_sequences(variant, dtype):
    MIXER_LAWS["reset_is_separate_sequences"](build(variant, dtype))


@over_dtypes
@over_variants
def test_reset_goes_on_like_a_fresh_start(variant, dtype):
    MIXER_LAWS["reset_goes_on_like_a_fresh_start"](build(variant, dtype))


@over_dtypes
@over_variants
def test_no_gradient_crosses_a_reset(variant, dtype):
    MIXER_LAWS["no_gradient_crosses_a_reset"](build(variant, dtype))


def test_a_law_notices_a_mixer_that_writes_to_its_reset():
    class Careless(Signed):
        def forward(self, x, state=None, *, reset=None):
            if reset is not None and reset.shape[1]:
                reset[:, 0] = True
            return super().forward(x, state, reset=reset)

    with pytest.raises(AssertionError, match="the reset was written to"):
        MIXER_LAWS["reset_is_separate_sequences"](Careless(6))
