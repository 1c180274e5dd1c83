"""Parallel over time, token by token, and from no state or the initial one: one function, with one gradient."""

from laws.variants import build, over_dtypes, over_variants
from statewise.testing import MIXER_LAWS


@over_dtypes
@over_variants
def test_forward_is_step_by_step(variant, dtype):
    MIXER_LAWS["parallel_is_step_by_step"](build(variant, dtype))


@over_dtypes
@over_variants
def test_no_state_is_the_initial_state(variant, dtype):
    MIXER_LAWS["no_state_is_the_initial_state"](build(variant, dtype))


@over_dtypes
@over_variants
def test_strides_do_not_matter(variant, dtype):
    MIXER_LAWS["strides_do_not_matter"](build(variant, dtype))
