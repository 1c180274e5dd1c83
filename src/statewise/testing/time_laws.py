"""The laws of time: the forms of a mixer agree, sequences can be cut and packed, and nothing looks ahead.

Each takes the mixer and raises AssertionError where it is broken.
"""

import copy

import torch
from torch import Tensor

from statewise.core.padding import left_padding_reset
from statewise.core.state import leaves, map_state, state_bits
from statewise.mixers import Mixer
from statewise.testing.compare import assert_close, assert_same_bits
from statewise.testing.runs import (
    BATCH,
    LENGTH,
    LONGER,
    assert_same_run,
    gradients,
    inputs_of,
    later_state,
    pieces_between,
    row_of,
    stepped,
)

ROUNDING = 1e-9
"""What a decay of zero may seem to be, in float64."""


def parallel_is_step_by_step(mixer: Mixer) -> None:
    """`forward` over time and `step` token by token agree, in outputs, final state and gradients."""
    state = later_state(mixer)
    for length in (LENGTH, LONGER):
        x = inputs_of(mixer, length)
        assert_same_run(mixer, x, state, mixer(x, state), stepped(mixer, x, state))


def no_state_is_the_initial_state(mixer: Mixer) -> None:
    """`state=None` means `initial_state`."""
    x, state = inputs_of(mixer), mixer.initial_state(BATCH)
    assert_same_run(mixer, x, state, mixer(x), mixer(x, state))


def cutting_changes_nothing(mixer: Mixer) -> None:
    """A sequence cut anywhere, its state carried over, gives what the whole gives."""
    state = later_state(mixer)
    for length, cuts in ((LENGTH, (0, 1, LENGTH // 2, LENGTH)), (LONGER, (64, 65, LONGER - 1))):
        x = inputs_of(mixer, length)
        whole = mixer(x, state)
        for cut in cuts:
            left, middle = mixer(x[:, :cut], state)
            right, final = mixer(x[:, cut:], middle)
            assert_same_run(mixer, x, state, (torch.cat([left, right], 1), final), whole)


def reset_is_separate_sequences(mixer: Mixer) -> None:
    """With `reset`, every piece gives what it gives alone, gradients too; the old state reaches only the first."""
    x, state = inputs_of(mixer, LONGER), later_state(mixer)
    reset = torch.zeros(BATCH, LONGER, dtype=torch.bool)
    reset[0, 0] = reset[1, 5] = reset[1, 6] = reset[1, 70] = reset[2, LONGER - 1] = True
    given = reset.clone()
    outputs, _ = mixer(x, state, reset=given)
    assert torch.equal(given, reset), "the reset was written to"
    alone = torch.empty_like(outputs)
    for row in range(BATCH):
        for begin, end in pieces_between(reset[row]):
            before = row_of(state, row) if begin == 0 and not reset[row, 0] else None
            piece, _ = mixer(x[row : row + 1, begin:end], before)
            assert_close(f"row {row}, tokens {begin} to {end}", outputs[row : row + 1, begin:end], piece)
            alone[row : row + 1, begin:end] = piece
    expected = gradients(mixer, alone, (), x, state)
    for name, grad in gradients(mixer, outputs, (), x, state).items():
        assert_close(f"gradient of {name}", grad, expected[name])


def reset_goes_on_like_a_fresh_start(mixer: Mixer) -> None:
    """After a chunk that ended in a reset sequence, the next chunk continues that sequence alone."""
    x = inputs_of(mixer)
    reset = torch.zeros(BATCH, LENGTH, dtype=torch.bool)
    reset[:, 7] = True
    _, state = mixer(x[:, :8], later_state(mixer), reset=reset[:, :8])
    fresh, _ = mixer(x[:, 7:])
    for name, later in (("outputs after the reset", None), ("outputs where nothing is reset any more", reset[:, 8:])):
        continued, _ = mixer(x[:, 8:], state, reset=later)
        assert_close(name, continued, fresh[:, 1:])


def no_gradient_crosses_a_reset(mixer: Mixer) -> None:
    """What came before a reset gets no gradient from what comes after it."""
    x, state = inputs_of(mixer, LONGER), later_state(mixer)
    reset = torch.zeros(BATCH, LONGER, dtype=torch.bool)
    reset[:, 70] = True
    outputs, _ = mixer(x, state, reset=reset)
    (grad,) = torch.autograd.grad(outputs[:, 70:].square().sum(), x)
    assert not grad[:, :70].any(), "a gradient crossed the reset"
    assert bool(grad[:, 70:].any()), "no gradient at all"


def left_padding_changes_nothing(mixer: Mixer) -> None:
    """Left-padded sequences, reset at their first real token, give and go on with what each gives alone."""
    lengths = (LENGTH, 8, 1)
    x = inputs_of(mixer).detach()
    reset = left_padding_reset(lengths, LENGTH)
    outputs, state = mixer(x, reset=reset)
    after, _ = mixer(x[:, :5], state)
    for row, length in enumerate(lengths):
        alone, end = mixer(x[row : row + 1, LENGTH - length :])
        assert_close(f"{length} real tokens", outputs[row : row + 1, LENGTH - length :], alone)
        assert_close(f"5 tokens after {length}", after[row : row + 1], mixer(x[row : row + 1, :5], end)[0])


def outputs_are_causal(mixer: Mixer) -> None:
    """A later token changes no earlier output, by a single bit."""
    with torch.no_grad():
        for length, cuts in ((LENGTH, (1, 7, LENGTH - 1)), (LONGER, (40, 64, LONGER - 1))):
            x = inputs_of(mixer, length)
            outputs, _ = mixer(x)
            for cut in cuts:
                # Large, so that nothing which is taken over a whole chunk, a maximum say, stays what it was.
                changed = torch.cat([x[:, :cut], 20 * inputs_of(mixer, length - cut, seed=3)], 1)
                others, _ = mixer(changed)
                assert torch.equal(outputs[:, :cut], others[:, :cut]), "an output depends on a later token"
                assert not torch.equal(outputs[:, cut:], others[:, cut:]), "outputs ignore their own token"


def no_tokens_change_nothing(mixer: Mixer) -> None:
    """T = 0 gives an empty output and the state that it was given; T = 1 works."""
    state = later_state(mixer)
    outputs, final = mixer(inputs_of(mixer, 0), state)
    assert outputs.shape == (BATCH, 0, mixer.width), f"T = 0 gave outputs {tuple(outputs.shape)}"
    for before, after in zip(leaves(state), leaves(final), strict=True):
        assert torch.equal(before, after), "T = 0 changed the state"
    reset = torch.zeros(BATCH, 0, dtype=torch.bool)
    assert mixer(inputs_of(mixer, 0), reset=reset)[0].shape == (BATCH, 0, mixer.width)
    assert mixer(inputs_of(mixer, 1))[0].shape == (BATCH, 1, mixer.width)


def state_has_its_size(mixer: Mixer) -> None:
    """A recurrent mixer's state has the same bits at every length; any other's grows."""
    with torch.no_grad():
        bits = [state_bits(mixer(inputs_of(mixer, length))[1]) for length in (0, 1, 5, LONGER)]
    if mixer.recurrent:
        assert len(set(bits)) == 1, f"state bits change with length: {bits}"
    else:
        assert bits == sorted(set(bits)), f"state bits do not grow with length: {bits}"


def claims_about_decay_hold(mixer: Mixer) -> None:
    """Where `non_negative_decay` is claimed, a token multiplies each number of the state by a fixed one, not below 0.

    A proof about parity is printed beside the results of such a mixer.
    """
    if not mixer.non_negative_decay:
        return
    wide = copy.deepcopy(mixer).double()
    with torch.no_grad():
        one, other = (decay_found(wide, seed) for seed in (1, 2))
    for i, (left, right) in enumerate(zip(one, other, strict=True)):
        assert_close(f"decay of state[{i}] from another state", left, right, dtype=torch.float32)
        assert left.min() >= -ROUNDING, f"state[{i}] has a decay of {left.min().item():.3g}"


def decay_found(mixer: Mixer, seed: int) -> list[Tensor]:
    """By how much one token multiplies what was added to each number of a state; state and addition from `seed`."""
    generator = torch.Generator().manual_seed(seed)
    token = inputs_of(mixer, 1)
    _, state = mixer(inputs_of(mixer, 4, seed=seed))
    added = [1 + torch.rand(leaf.shape, generator=generator, dtype=leaf.dtype) for leaf in leaves(state)]
    in_order = iter(added)
    _, moved = mixer(token, map_state(lambda leaf: leaf + next(in_order), state))
    _, rest = mixer(token, state)
    return [(one - other) / more for one, other, more in zip(leaves(moved), leaves(rest), added, strict=True)]


def strides_do_not_matter(mixer: Mixer) -> None:
    """Inputs that are not contiguous give the same outputs."""
    x = inputs_of(mixer).detach()
    spread = x.transpose(0, 1).contiguous().transpose(0, 1)
    assert_close("outputs", mixer(spread)[0], mixer(x)[0])
    assert_close("step", mixer.step(spread[:, 0], mixer.initial_state(BATCH))[0], mixer(x)[0][:, 0])


def nothing_given_is_written_to(mixer: Mixer) -> None:
    """`forward` and `step` leave their input and state as they were: keeping an old state is going back to it."""
    with torch.no_grad():
        x, (_, state) = inputs_of(mixer), mixer(inputs_of(mixer, 4, seed=1))
        given = (x, *leaves(state))
        kept = [leaf.clone() for leaf in given]
        first, _ = mixer(x, state)
        mixer.step(x[:, 0], state)
        again, _ = mixer(x, state)
    for before, after in zip(kept, given, strict=True):
        assert torch.equal(before, after), "something given was written to"
    assert_same_bits("outputs from the same state again", again, first)
