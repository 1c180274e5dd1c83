"""A state can be kept, saved, moved, parted and put together, and goes on where it was taken."""

import pytest

from laws.variants import build, over_dtypes, over_mixers, over_variants
from statewise.core.state import batch_states, leaves, move_state
from statewise.testing import MIXER_LAWS
from statewise.testing.runs import inputs_of


@over_dtypes
@over_variants
def test_saved_states_go_on(variant, dtype):
    MIXER_LAWS["saved_states_go_on"](build(variant, dtype))


@over_dtypes
@over_variants
def test_gathered_states_go_on(variant, dtype):
    MIXER_LAWS["gathered_states_go_on"](build(variant, dtype))


@over_dtypes
@over_variants
def test_batched_states_go_on(variant, dtype):
    MIXER_LAWS["batched_states_go_on"](build(variant, dtype))


@over_variants
def test_states_in_another_dtype_go_on(variant):
    MIXER_LAWS["moved_states_go_on"](build(variant))


@over_dtypes
@over_variants
def test_nothing_given_is_written_to(variant, dtype):
    MIXER_LAWS["nothing_given_is_written_to"](build(variant, dtype))


@over_mixers
def test_states_move_to_another_device(variant):
    mixer = build(variant)
    state = move_state(mixer(inputs_of(mixer))[1], device="meta")
    assert {leaf.device.type for leaf in leaves(state)} == {"meta"}
    elsewhere = mixer.initial_state(2, device="meta")
    assert {leaf.device.type for leaf in leaves(elsewhere)} == {"meta"}


@over_mixers
def test_only_states_as_long_as_each_other_can_be_put_together(variant):
    mixer = build(variant)
    states = [mixer(inputs_of(mixer, length))[1] for length in (5, 7)]
    if mixer.recurrent:
        assert {len(leaf) for leaf in leaves(batch_states(states))} == {6}
    else:
        with pytest.raises(ValueError, match="A cache is as long as what was read: read sequences of different"):
            batch_states(states)
