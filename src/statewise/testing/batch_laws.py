"""The laws of a batch: its rows do not meet, and their states can be kept, moved, parted and put together.

Each takes the mixer and raises AssertionError where it is broken.
"""

import copy
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from statewise.core.snapshots import load_state, save_state
from statewise.core.state import batch_states, gather_states, leaves, map_state, move_state
from statewise.mixers import Mixer
from statewise.testing.compare import assert_close, assert_same_bits
from statewise.testing.runs import BATCH, LENGTH, has_gradients, inputs_of, later_state, row_of

CUT = 5


def rows_are_independent(mixer: Mixer) -> None:
    """Other rows, even of NaN, change no bit of a row's outputs, final state and gradient; alone it gives the same."""
    x, state = inputs_of(mixer), later_state(mixer)
    expected = run_of_first_row(mixer, x, state)
    for others in (20 * inputs_of(mixer, seed=3).detach(), torch.full_like(x, float("nan"))):
        changed = torch.cat([x[:1], others[1:]]).detach().requires_grad_()
        strange = map_state(partial(with_other_rows, others=others), state)
        found = run_of_first_row(mixer, changed, strange)
        for name, one in found.items():
            assert_same_bits(f"row 0, {name}", one, expected[name])
    alone = run_of_first_row(mixer, x[:1].detach().requires_grad_(), row_of(state, 0))
    for name, one in alone.items():
        assert_close(f"row 0 alone, {name}", one, expected[name], dtype=x.dtype)


def run_of_first_row(mixer: Mixer, x: Tensor, state: Any) -> dict[str, Tensor]:
    """What row 0 gives: outputs, one step, final state, and the gradient of its own outputs."""
    outputs, final = mixer(x, state)
    (grad,) = torch.autograd.grad(outputs[0].sum(), x)
    results = [outputs, mixer.step(x[:, 0], state)[0], grad, *leaves(final)]
    names = ["outputs", "step", "gradient", *(f"final[{i}]" for i in range(len(results) - 3))]
    return {name: result[:1].detach() for name, result in zip(names, results, strict=True)}


def with_other_rows(leaf: Tensor, others: Tensor) -> Tensor:
    """A state's tensor whose rows but the first hold a number of `others`; counters stay as they are."""
    if not has_gradients(leaf):
        return leaf
    return torch.cat([leaf[:1], torch.full_like(leaf[1:], others[1, 0, 0].item())]).detach()


def no_sequences_give_none(mixer: Mixer) -> None:
    """B = 0 gives no outputs and states of no sequences."""
    x = inputs_of(mixer, batch=0)
    for reset in (None, torch.zeros(0, LENGTH, dtype=torch.bool)):
        y, state = mixer(x, reset=reset)
        assert y.shape == (0, LENGTH, mixer.width), f"B = 0 gave outputs {tuple(y.shape)}"
        assert {len(leaf) for leaf in leaves(state)} == {0}, "B = 0 gave states of some sequences"


def saved_states_go_on(mixer: Mixer) -> None:
    """A state written to a file and read back, in the structure of the initial one, goes on to the bit."""
    with torch.no_grad():
        x = inputs_of(mixer)
        whole, (_, state) = mixer(x)[0], mixer(x[:, :CUT])
        with tempfile.TemporaryDirectory() as folder:
            save_state(state, Path(folder) / "state")
            back = load_state(Path(folder) / "state", like=mixer.initial_state(BATCH))
        assert type(back) is type(state), f"{type(back).__name__} came back, not {type(state).__name__}"
        outputs, _ = mixer(x[:, CUT:], back)
        assert_same_bits("outputs from the file's state", outputs, mixer(x[:, CUT:], state)[0])
        assert_close("outputs of the uninterrupted sequence", outputs, whole[:, CUT:])


def gathered_states_go_on(mixer: Mixer) -> None:
    """Rows of a state, reordered and repeated as a beam search does, go on as the rows that they were."""
    with torch.no_grad():
        x, rows = inputs_of(mixer), torch.tensor([2, 0, 2, 1])
        whole, (_, state) = mixer(x)[0], mixer(x[:, :CUT])
        outputs, _ = mixer(x[rows, CUT:], gather_states(state, rows))
        assert_close("outputs", outputs, whole[rows, CUT:])


def batched_states_go_on(mixer: Mixer) -> None:
    """States of sequences that were read one by one, put together, go on as a batch."""
    with torch.no_grad():
        x = inputs_of(mixer)
        state = batch_states([mixer(x[row : row + 1, :CUT])[1] for row in range(BATCH)])
        assert_close("outputs", mixer(x[:, CUT:], state)[0], mixer(x)[0][:, CUT:])


def moved_states_go_on(mixer: Mixer) -> None:
    """A state of the mixer in float32, moved to float64, is one of the mixer in float64."""
    narrow, wide = copy.deepcopy(mixer).float(), copy.deepcopy(mixer).double()
    with torch.no_grad():
        x = inputs_of(wide)
        _, state = narrow(x[:, :CUT].float())
        outputs, final = wide(x[:, CUT:], move_state(state, dtype=torch.float64))
        kinds = [(one.dtype, one.shape) for one in leaves(final)]
        assert kinds == [(one.dtype, one.shape) for one in leaves(wide(x)[1])], f"the final state has {kinds}"
        assert_close("outputs", outputs, wide(x)[0][:, CUT:], dtype=torch.float32)
