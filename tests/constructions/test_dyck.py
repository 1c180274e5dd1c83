from itertools import product

import pytest
import torch

from statewise.bounds.dyck import required_bits_all_lengths
from statewise.constructions.construction import solved
from statewise.constructions.dyck import recurrent
from statewise.core import UsageError
from statewise.core.state import state_bits


@pytest.mark.parametrize(("types", "depth"), [(2, 2), (1, 1), (1, 3), (2, 4), (3, 1)])
@pytest.mark.parametrize("size", [2, 4, 6])
def test_every_string_is_judged(types, depth, size):
    construction = recurrent(size, types=types, depth=depth)
    verification = construction.verify()
    assert verification.exhaustive
    assert verification.exact, verification.first


def test_every_string_of_eight_brackets_is_judged():
    verification = recurrent(8).verify()
    assert verification.inputs == 4**8
    assert verification.exact, verification.first


def test_every_prefix_is_judged_too():
    construction = recurrent(6)
    strings = torch.tensor(list(product(range(4), repeat=6)))
    answers = construction.answers(strings)
    for end in (2, 4, 6):
        batch = solved(construction.task, strings[:, :end])
        assert torch.equal(answers[:, end - 1], batch.targets[:, -1])
    assert bool((answers[:, ::2] == 4).all())


@pytest.mark.parametrize(("types", "depth"), [(2, 2), (5, 7)])
@pytest.mark.parametrize("size", [100, 4000])
def test_long_members_and_others_are_told_apart(types, depth, size):
    construction = recurrent(8, types=types, depth=depth)
    verification = construction.verify(size, examples=48)
    assert verification.exact, verification.first


def test_the_size_is_constant():
    bits = {size: state_bits(recurrent(size).model.initial_state(1)) for size in (2, 10_000)}
    assert set(bits.values()) == {3 * 2 * 32}
    assert recurrent(2).model.config.width == 2 + 8
    assert "192 bits of state, 64.00 times the 3.0 that are required" in recurrent(2).claim
    assert required_bits_all_lengths(2, 2).value == 3


def test_what_was_once_wrong_stays_wrong_however_it_goes_on():
    construction = recurrent(8)
    wrong = torch.tensor([[0, 3, 1, 2, 0, 2], [2, 0, 0, 2, 0, 2], [0, 1, 0, 2, 3, 2], [0, 3, 0, 2, 0, 2]])
    assert construction.answers(wrong)[:, -1].tolist() == [4] * 4


def test_far_beyond_what_float32_counts_a_rejected_string_stays_rejected():
    construction = recurrent(2)
    model = construction.model
    state = model.initial_state(1)
    with torch.no_grad():
        _, state = model(torch.tensor([[2]]), state)
        # As after 2^30 closing brackets, in whose depths float32 loses ones.
        for leaf in (block.mixer.hidden for block in state.blocks):
            leaf[leaf < 0] = -(2.0**30)
        logits, _ = model(torch.tensor([[2, 0, 1, 3]]), state)
    assert logits.argmax(-1).tolist() == [[4] * 4]


def test_eight_bits_of_precision_are_enough():
    construction = recurrent(8)
    construction.model.bfloat16()
    assert construction.verify().exact
    assert construction.verify(1000, examples=48).exact


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_no_layer_may_forget(layer):
    construction = recurrent(8)
    with torch.no_grad():
        construction.model.blocks[layer].mixer.decay[0] = 0
    assert construction.verify().mistakes > 0


def test_one_slot_less_and_a_type_is_not_compared():
    construction = recurrent(8)
    with torch.no_grad():
        construction.model.blocks[1].mixer.write.weight[1] = 0
    verification = construction.verify()
    assert verification.mistakes > 0
    assert "says 5; right is 4" in verification.first


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (5, {}, "dyck/recurrent: size is 5; it must be even and at least 2"),
        (0, {}, "dyck/recurrent: size is 0; it must be even and at least 2"),
        (4, {"depth": 0}, "dyck: types is 2 and depth is 0; both must be at least 1"),
    ],
)
def test_what_cannot_be_built_is_refused(size, settings, message):
    with pytest.raises(UsageError, match=message):
        recurrent(size, **settings)
