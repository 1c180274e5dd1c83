"""The laws of a mixer. Each takes the mixer and raises AssertionError where it is broken.

B batch, T time, D width. Every law uses random inputs from a fixed generator, and states that are not initial.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from statewise.core.state import leaves, map_state, state_bits
from statewise.mixers import Mixer
from statewise.testing.compare import assert_close

BATCH = 3
LENGTH = 13

Law = Callable[[Mixer], None]


def check_mixer(mixer: Mixer) -> None:
    """Hold every law of MIXER_LAWS against a mixer, in its parameters' dtype.

    >>> from statewise.mixers import MinGRU
    >>> check_mixer(MinGRU(6).double())
    """
    for law in MIXER_LAWS.values():
        law(mixer)


def inputs_of(mixer: Mixer, length: int = LENGTH, *, seed: int = 0) -> Tensor:
    """Random inputs (B, T, D) that ask for gradients."""
    generator = torch.Generator().manual_seed(seed)
    dtype = next(mixer.parameters()).dtype
    shape = (BATCH, length, mixer.width)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def later_state(mixer: Mixer) -> Any:
    """A state after a few tokens, whose floating tensors ask for gradients."""
    with torch.no_grad():
        _, state = mixer(inputs_of(mixer, 4, seed=1))
    return map_state(lambda leaf: leaf.requires_grad_() if leaf.is_floating_point() else leaf, state)


def stepped(mixer: Mixer, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Outputs and final state of `step`, one token at a time."""
    outputs = []
    for t in range(x.shape[1]):
        y, state = mixer.step(x[:, t], state)
        outputs.append(y)
    return torch.stack(outputs, 1), state


def gradients(mixer: Mixer, outputs: Tensor, final: Any, x: Tensor, initial: Any) -> dict[str, Tensor]:
    """Gradients of inputs, initial state and parameters from random cotangents on outputs and final state."""
    generator = torch.Generator().manual_seed(2)
    ends = [outputs, *(leaf for leaf in leaves(final) if leaf.is_floating_point())]
    weighed = [(end * torch.randn(end.shape, generator=generator, dtype=end.dtype)).sum() for end in ends]
    starts = {"x": x, **{f"initial[{i}]": leaf for i, leaf in enumerate(leaves(initial)) if leaf.requires_grad}}
    starts |= dict(mixer.named_parameters())
    found = torch.autograd.grad(torch.stack(weighed).sum(), list(starts.values()), allow_unused=True)
    pairs = zip(starts.items(), found, strict=True)
    return {name: torch.zeros_like(start) if grad is None else grad for (name, start), grad in pairs}


def assert_same_run(mixer: Mixer, x: Tensor, initial: Any, one: tuple[Tensor, Any], other: tuple[Tensor, Any]) -> None:
    """Outputs, final states and every gradient of two runs agree."""
    assert_close("outputs", one[0], other[0])
    for i, (left, right) in enumerate(zip(leaves(one[1]), leaves(other[1]), strict=True)):
        assert_close(f"final[{i}]", left, right, dtype=x.dtype)
    left_grads, right_grads = (gradients(mixer, *run, x, initial) for run in (one, other))
    for name, expected in right_grads.items():
        assert_close(f"gradient of {name}", left_grads[name], expected)


def row_of(state: Any, row: int) -> Any:
    """The state of one sequence of the batch."""
    return map_state(lambda leaf: leaf[row : row + 1], state)


def parallel_is_step_by_step(mixer: Mixer) -> None:
    """`forward` over time and `step` token by token agree, in outputs, final state and gradients."""
    x, state = inputs_of(mixer), later_state(mixer)
    assert_same_run(mixer, x, state, mixer(x, state), stepped(mixer, x, state))


def no_state_is_the_initial_state(mixer: Mixer) -> None:
    """`state=None` means `initial_state`."""
    x, state = inputs_of(mixer), mixer.initial_state(BATCH)
    assert_same_run(mixer, x, state, mixer(x), mixer(x, state))


def cutting_changes_nothing(mixer: Mixer) -> None:
    """A sequence cut anywhere, its state carried over, gives what the whole gives."""
    x, state = inputs_of(mixer), later_state(mixer)
    for cut in (0, 1, LENGTH // 2, LENGTH):
        left, middle = mixer(x[:, :cut], state)
        right, final = mixer(x[:, cut:], middle)
        assert_same_run(mixer, x, state, (torch.cat([left, right], 1), final), mixer(x, state))


def reset_is_separate_sequences(mixer: Mixer) -> None:
    """With `reset`, every piece gives what it gives alone, and the old state reaches only the first."""
    x, state = inputs_of(mixer), later_state(mixer)
    reset = torch.zeros(BATCH, LENGTH, dtype=torch.bool)
    reset[0, 0] = reset[1, 5] = reset[1, 6] = reset[2, LENGTH - 1] = True
    given = reset.clone()
    outputs, _ = mixer(x, state, reset=given)
    assert torch.equal(given, reset), "the reset was written to"
    for row in range(BATCH):
        starts = [t for t in range(1, LENGTH) if reset[row, t]]
        carried = None if reset[row, 0] else row_of(state, row)
        for begin, end in zip([0, *starts], [*starts, LENGTH], strict=True):
            alone, _ = mixer(x[row : row + 1, begin:end], carried if begin == 0 else None)
            assert_close(f"row {row}, tokens {begin} to {end}", outputs[row : row + 1, begin:end], alone)


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
    x, state = inputs_of(mixer), later_state(mixer)
    reset = torch.zeros(BATCH, LENGTH, dtype=torch.bool)
    reset[:, 6] = True
    outputs, _ = mixer(x, state, reset=reset)
    (grad,) = torch.autograd.grad(outputs[:, 6:].square().sum(), x)
    assert not grad[:, :6].any(), "a gradient crossed the reset"
    assert bool(grad[:, 6:].any()), "no gradient at all"


def outputs_are_causal(mixer: Mixer) -> None:
    """A later token changes no earlier output."""
    x = inputs_of(mixer)
    changed = x.detach().clone()
    changed[:, 7:] += 1
    assert torch.equal(mixer(x)[0][:, :7], mixer(changed)[0][:, :7]), "an output depends on a later token"
    assert not torch.equal(mixer(x)[0][:, 7:], mixer(changed)[0][:, 7:]), "outputs ignore their own token"


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
    bits = [state_bits(mixer(inputs_of(mixer, length))[1]) for length in (0, 1, 5, 40)]
    if mixer.recurrent:
        assert len(set(bits)) == 1, f"state bits change with length: {bits}"
    else:
        assert bits == sorted(set(bits)), f"state bits do not grow with length: {bits}"


def strides_do_not_matter(mixer: Mixer) -> None:
    """Inputs that are not contiguous give the same outputs."""
    x = inputs_of(mixer).detach()
    spread = x.transpose(0, 1).contiguous().transpose(0, 1)
    assert_close("outputs", mixer(spread)[0], mixer(x)[0])


MIXER_LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        parallel_is_step_by_step,
        no_state_is_the_initial_state,
        cutting_changes_nothing,
        reset_is_separate_sequences,
        reset_goes_on_like_a_fresh_start,
        no_gradient_crosses_a_reset,
        outputs_are_causal,
        no_tokens_change_nothing,
        state_has_its_size,
        strides_do_not_matter,
    )
}
