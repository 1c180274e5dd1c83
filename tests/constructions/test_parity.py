import pytest
import torch

from statewise.bounds import limit_at_all_lengths
from statewise.constructions import parity
from statewise.core import UsageError
from statewise.mixers.gru import GRUState
from statewise.models.backbone import ModelState
from statewise.models.block import BlockState


def ones(length):
    return torch.ones(1, length, dtype=torch.int64)


def right(construction, tokens):
    return torch.equal(construction.answers(tokens), tokens.cumsum(1) % 2)


@pytest.mark.parametrize("size", range(1, 11))
def test_gru_answers_every_string(size):
    verification = parity.gru(size).verify()
    assert verification.exhaustive
    assert verification.exact, verification.first


def test_gru_is_one_unit_of_sixteen_numbers():
    construction = parity.gru(4)
    assert construction.parameters == 16
    assert construction.model.config.width == 1
    assert construction.model.initial_state(1).blocks[0].mixer.hidden.shape == (1, 1)


def test_gru_is_right_at_every_length_by_induction_over_its_three_states():
    model = parity.gru(1).model
    states, parities = torch.tensor([[-1.0], [0.0], [1.0]]), torch.tensor([0, 0, 1])
    for token, after in ((0, [-1.0, 0.0, 1.0]), (1, [1.0, 1.0, -1.0])):
        before = ModelState((BlockState(GRUState(states), ()),), ())
        logits, then = model.step(torch.full((3,), token), before)
        assert then.blocks[0].mixer.hidden.flatten().tolist() == after
        assert torch.equal(logits.argmax(-1), (parities + token) % 2)


def test_gru_answers_long_strings():
    construction = parity.gru(10_000)
    assert construction.verify(examples=8).exact
    assert right(construction, ones(10_000))
    assert right(construction, torch.cat([ones(1), torch.zeros(1, 9_999, dtype=torch.int64)], 1))


def test_a_gru_that_forgets_a_little_at_each_zero_fails_in_the_end():
    construction = parity.gru(100)
    with torch.no_grad():
        construction.model.blocks[0].mixer.cell.weight_ih_l0[1] /= 10
    assert right(construction, torch.tensor([[1, 0, 0, 0]]))
    assert not right(construction, torch.cat([ones(1), torch.zeros(1, 99, dtype=torch.int64)], 1))


def test_a_gru_without_a_steep_candidate_fails():
    construction = parity.gru(10)
    with torch.no_grad():
        construction.model.blocks[0].mixer.cell.weight_hh_l0[2] /= 3
    assert construction.verify().mistakes > 0


@pytest.mark.parametrize("size", [1, 2, 3, 7, 12])
def test_mingru_answers_every_string_up_to_its_size_and_not_beyond(size):
    construction = parity.mingru(size)
    for smaller in range(1, size + 1):
        verification = construction.verify(smaller)
        assert verification.exhaustive
        assert verification.exact, verification.first
    assert construction.fails_at == size + 1
    assert construction.verify(size + 1).first.startswith(f"at {size} of {[1] * (size + 1)}")


@pytest.mark.parametrize("size", [100, 1000, parity.LONGEST])
def test_mingru_passes_through_every_count_with_room_to_spare(size):
    construction = parity.mingru(size)
    outputs, _ = construction.model(ones(size + 1))
    signs = 2.0 * (torch.arange(1, size + 2) % 2) - 1
    margins = signs * outputs[0, :, 1]
    assert margins[:-1].min() > 0.25
    assert margins[-1] < -1
    assert construction.verify(examples=4).exact


def test_mingru_counts_ones_and_rests_on_zeros():
    model = parity.mingru(20).model
    _, once = model(torch.tensor([[0, 0, 1]]))
    _, rested = model(torch.tensor([[0, 0, 1, 0, 0, 0]]))
    assert once.blocks[0].mixer.hidden[0, 0] == rested.blocks[0].mixer.hidden[0, 0] > 0
    assert model(torch.zeros(1, 50, dtype=torch.int64))[1].blocks[0].mixer.hidden[0, 0] == 0
    assert torch.allclose(parity.counts(20).diff(), (20 / 21) ** torch.arange(20, dtype=torch.float64))


@pytest.mark.parametrize("taken", range(8))
def test_mingru_needs_each_of_its_hinges(taken):
    construction = parity.mingru(9)
    hinges = construction.model.blocks[0].feed_forward[2].weight[1]
    assert int((hinges != 0).sum()) == 8
    with torch.no_grad():
        hinges[taken] = 0
    assert not right(construction, ones(9))


def test_mingru_needs_its_precision():
    construction = parity.mingru(100)
    construction.model.bfloat16()
    assert not right(construction, ones(100))


def test_mingru_says_one_thing_in_the_end_as_every_such_stack_does():
    construction = parity.mingru(8)
    assert len(set(construction.answers(ones(2000))[0, 1000:].tolist())) == 1
    decays = all(block.mixer.non_negative_decay for block in construction.model.blocks)
    assert limit_at_all_lengths(construction.task, non_negative_decay=decays, positions="none") is not None


@pytest.mark.parametrize(
    ("built", "size", "message"),
    [
        (parity.gru, 0, "parity/gru: size is 0; it must be at least 1"),
        (parity.mingru, 0, r"parity/mingru: size is 0; it must be in \[1, 1024\]: the feed-forward is as wide"),
        (parity.mingru, 1025, r"parity/mingru: size is 1025; it must be in \[1, 1024\]"),
    ],
)
def test_what_cannot_be_built_is_refused(built, size, message):
    with pytest.raises(UsageError, match=message):
        built(size)
