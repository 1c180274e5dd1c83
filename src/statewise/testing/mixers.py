"""The laws of a mixer, all of them. Each takes the mixer and raises AssertionError where it is broken."""

from collections.abc import Callable

from statewise.mixers import Mixer
from statewise.testing import batch_laws, module_laws, time_laws

Law = Callable[[Mixer], None]

MIXER_LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        time_laws.parallel_is_step_by_step,
        time_laws.no_state_is_the_initial_state,
        time_laws.cutting_changes_nothing,
        time_laws.reset_is_separate_sequences,
        time_laws.reset_goes_on_like_a_fresh_start,
        time_laws.no_gradient_crosses_a_reset,
        time_laws.left_padding_changes_nothing,
        time_laws.outputs_are_causal,
        time_laws.no_tokens_change_nothing,
        time_laws.state_has_its_size,
        time_laws.claims_about_decay_hold,
        time_laws.strides_do_not_matter,
        time_laws.nothing_given_is_written_to,
        batch_laws.rows_are_independent,
        batch_laws.no_sequences_give_none,
        batch_laws.saved_states_go_on,
        batch_laws.gathered_states_go_on,
        batch_laws.batched_states_go_on,
        batch_laws.moved_states_go_on,
        module_laws.weights_come_back,
        module_laws.copies_are_equal,
        module_laws.parametrisations_work,
        module_laws.bfloat16_is_near_float32,
        module_laws.autocast_is_near_float32,
    )
}


def check_mixer(mixer: Mixer) -> None:
    """Hold every law of MIXER_LAWS against a mixer, in its parameters' dtype.

    >>> from statewise.mixers import MinGRU
    >>> check_mixer(MinGRU(6).double())
    """
    for law in MIXER_LAWS.values():
        law(mixer)
