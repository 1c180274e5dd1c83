"""For every law of a mixer, one that breaks it and is caught."""

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F

from laws.variants import WIDTH, Signed, Turning, TurningState
from statewise.core.random import seeded
from statewise.mixers import MinGRU
from statewise.mixers.scan_mixer import ScanState
from statewise.testing import MIXER_LAWS, check_mixer


class StepsAtDoubleLength(Signed):
    def step(self, x, state):
        y, state = super().step(x, state)
        return 2 * y, state


class KeepsNoComplexHistory(Turning):
    def forward(self, x, state=None, *, reset=None):
        return super().forward(x, state and TurningState(state.hidden.detach()), reset=reset)


class CutsAComplexHistory(Turning):
    def forward(self, x, state=None, *, reset=None):
        y, state = super().forward(x, state, reset=reset)
        return y, TurningState(torch.complex(state.hidden.real, state.hidden.imag.detach()))


class BeginsElsewhere(Signed):
    def initial_state(self, batch_size, **home):
        return ScanState(super().initial_state(batch_size, **home).hidden + 1)


class ForgetsBetweenCalls(Signed):
    def forward(self, x, state=None, *, reset=None):
        return super().forward(x, None, reset=reset)


class IgnoresResets(Signed):
    def forward(self, x, state=None, *, reset=None):
        return super().forward(x, state)


class StopsAtResets(Signed):
    """Forgets at resets in what it says, and goes on with what it had."""

    def forward(self, x, state=None, *, reset=None):
        return super().forward(x, state, reset=reset)[0], super().forward(x, state)[1]


class LooksAhead(Signed):
    def forward(self, x, state=None, *, reset=None):
        return super().forward(x + 1e-3 * x.amax(1, keepdim=True), state, reset=reset)


class BeginsAnewWithoutTokens(Signed):
    def forward(self, x, state=None, *, reset=None):
        return super().forward(x, state if x.shape[1] else None, reset=reset)


class GrowsInSilence(Signed):
    def forward(self, x, state=None, *, reset=None):
        y, state = super().forward(x)
        return y, ScanState(torch.cat([state.hidden, x.flatten(1)], 1))


class ClaimsTooMuch(Signed):
    non_negative_decay = True


class ClaimsToBeLinear(MinGRU):
    def forward(self, x, state=None, *, reset=None):
        y, state = super().forward(x, state, reset=reset)
        return y, ScanState(state.hidden.sin())


class ReadsMemory(Signed):
    def forward(self, x, state=None, *, reset=None):
        strides = (x.shape[1] * x.shape[2], x.shape[2], 1)
        return super().forward(x.as_strided(x.shape, strides), state, reset=reset)


class WritesToItsState(Signed):
    def step(self, x, state):
        y, after = super().step(x, state)
        state.hidden.copy_(after.hidden)
        return y, state


class NormalisesOverTheBatch(Signed):
    def forward(self, x, state=None, *, reset=None):
        return super().forward(x - 1e-6 * x.mean(0), state, reset=reset)


class CountsItsRows(Signed):
    def forward(self, x, state=None, *, reset=None):
        y, state = super().forward(x, state, reset=reset)
        return y + torch.arange(len(x), dtype=x.dtype)[:, None, None], state


class AlwaysHasARow(Signed):
    def forward(self, x, state=None, *, reset=None):
        y, state = super().forward(x, state, reset=reset)
        return y, state if len(x) else super().initial_state(1)


class Loose(NamedTuple):
    hidden: torch.Tensor


class ChangesItsType(Signed):
    def forward(self, x, state=None, *, reset=None):
        y, state = super().forward(x, state, reset=reset)
        return y, Loose(state.hidden)


class KeepsHalf(Signed):
    def forward(self, x, state=None, *, reset=None):
        state = state and ScanState(state.hidden.to(x.dtype))
        y, state = super().forward(x, state, reset=reset)
        return y, ScanState(state.hidden.half())


class TakesNoWeights(Signed):
    def load_state_dict(self, *arguments, **options):
        pass


class IsItsOwnCopy(Signed):
    def __deepcopy__(self, memo):
        return self


class KeepsItsFirstWeights(Signed):
    def __init__(self, width):
        super().__init__(width)
        self.first = [self.output.weight]

    def forward(self, x, state=None, *, reset=None):
        states, final = self.scan(self.projection(x), state and state.hidden, reset)
        return F.linear(states, self.first[0].detach(), self.output.bias), ScanState(final)

    def step(self, x, state):
        hidden = self.advance(self.projection(x), state.hidden)
        return F.linear(hidden, self.first[0].detach(), self.output.bias), ScanState(hidden)


class AnswersInFloat32(Signed):
    def forward(self, x, state=None, *, reset=None):
        y, state = super().forward(x, state, reset=reset)
        return y.float(), state


class RoundsTwice(Signed):
    """Gates of three bits."""

    def decay_and_drive(self, gate, candidate):
        coarse = gate if gate.dtype != torch.bfloat16 else (gate * 8).round() / 8
        return coarse.tanh(), candidate


WITNESSES = [
    ("parallel_is_step_by_step", StepsAtDoubleLength, "outputs: off by"),
    ("parallel_is_step_by_step", KeepsNoComplexHistory, r"gradient of initial\[0\]: off by"),
    ("parallel_is_step_by_step", CutsAComplexHistory, "gradient of x: off by"),
    ("no_state_is_the_initial_state", BeginsElsewhere, "outputs: off by"),
    ("cutting_changes_nothing", ForgetsBetweenCalls, "outputs: off by"),
    ("reset_is_separate_sequences", IgnoresResets, "row 0, tokens 0 to 131: off by"),
    ("reset_goes_on_like_a_fresh_start", StopsAtResets, "outputs after the reset: off by"),
    ("no_gradient_crosses_a_reset", IgnoresResets, "a gradient crossed the reset"),
    ("left_padding_changes_nothing", IgnoresResets, "8 real tokens: off by"),
    ("outputs_are_causal", LooksAhead, "an output depends on a later token"),
    ("no_tokens_change_nothing", BeginsAnewWithoutTokens, "T = 0 changed the state"),
    ("state_has_its_size", GrowsInSilence, "state bits change with length"),
    ("claims_about_decay_hold", ClaimsTooMuch, "has a decay of -"),
    ("claims_about_decay_hold", ClaimsToBeLinear, r"decay of state\[0\] from another state: off by"),
    ("strides_do_not_matter", ReadsMemory, "outputs: off by"),
    ("nothing_given_is_written_to", WritesToItsState, "something given was written to"),
    ("rows_are_independent", NormalisesOverTheBatch, "row 0, outputs: .* numbers differ"),
    ("no_sequences_give_none", AlwaysHasARow, "states of some sequences"),
    ("saved_states_go_on", ChangesItsType, "ScanState came back, not Loose"),
    ("gathered_states_go_on", CountsItsRows, "outputs: off by"),
    ("batched_states_go_on", NormalisesOverTheBatch, "outputs: off by"),
    ("moved_states_go_on", KeepsHalf, "outputs: off by"),
    ("weights_come_back", TakesNoWeights, "after load_state_dict: .* numbers differ"),
    ("copies_are_equal", IsItsOwnCopy, "the copy shares memory"),
    ("parametrisations_work", KeepsItsFirstWeights, "outputs under weight_norm at half the norm: off by"),
    ("bfloat16_is_near_float32", AnswersInFloat32, "outputs are torch.float32"),
    ("bfloat16_is_near_float32", RoundsTwice, "outputs: off by"),
    ("autocast_is_near_float32", RoundsTwice, "outputs under autocast: off by"),
]


@pytest.mark.parametrize(("law", "cls", "words"), WITNESSES, ids=[cls.__name__ for _, cls, _ in WITNESSES])
def test_a_mixer_that_breaks_the_law_is_caught(law, cls, words):
    with seeded(0):
        mixer = cls(WIDTH).double()
    with pytest.raises(AssertionError, match=words):
        MIXER_LAWS[law](mixer)


def test_every_law_has_a_witness():
    assert {law for law, _, _ in WITNESSES} == set(MIXER_LAWS)


def test_check_mixer_holds_every_law():
    check_mixer(Signed(WIDTH).double())
    for cls in (IgnoresResets, LooksAhead, AnswersInFloat32):
        with pytest.raises(AssertionError):
            check_mixer(cls(WIDTH).double())
