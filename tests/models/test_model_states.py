"""A model's state is one value: saved, gathered, put together, kept to go back to, and differentiable across pieces."""

import pytest
import torch
import torch.nn.functional as F

from statewise.core.random import seeded
from statewise.core.snapshots import load_state, save_state
from statewise.core.state import batch_states, detach_state, gather_states, leaves
from statewise.models import LanguageModel
from statewise.testing import assert_close

PLACES = {"positions": "learned", "max_length": 60}


@pytest.fixture
def model():
    with seeded(0):
        return LanguageModel(vocabulary=11, width=6, stack="mingru+gru+attention", conv=3, **PLACES).double()


def tokens(*shape, seed=0):
    return torch.randint(0, 11, shape, generator=torch.Generator().manual_seed(seed))


def test_a_saved_hybrid_goes_on(model, tmp_path):
    read = tokens(2, 20)
    whole, state = model(read)[0], model(read[:, :8])[1]
    save_state(state, tmp_path / "state")
    back = load_state(tmp_path / "state", like=model.initial_state(2))
    assert type(back) is type(state)
    assert back.position.tolist() == [8, 8]
    assert_close("logits", model(read[:, 8:], back)[0], whole[:, 8:])


def test_a_state_of_another_model_is_refused_by_name(model, tmp_path):
    save_state(model(tokens(2, 5))[1], tmp_path / "state")
    other = LanguageModel(vocabulary=11, width=6, stack="mingru*3", conv=3, **PLACES).double()
    with pytest.raises(
        ValueError, match=r"in the file  .*blocks.2.mixer.keys.*\n  needed       .*blocks.2.mixer.hidden"
    ):
        load_state(tmp_path / "state", like=other.initial_state(2))
    with pytest.raises(ValueError, match=r"blocks.0.mixer.hidden does not fit.\n.*\(2, 6\).*64\n.*\(2, 6\).*32"):
        load_state(tmp_path / "state", like=model.float().initial_state(2))


def beam_search(model, prompt, length, beams):
    """The likeliest continuation of `prompt` (1, T) among `beams`, and its log-probability."""
    logits, state = model(prompt)
    state = gather_states(state, [0] * beams)
    scores = torch.tensor([0.0] + [-torch.inf] * (beams - 1)).double()
    found, last = torch.empty(beams, 0, dtype=torch.int64), logits[:, -1].expand(beams, -1)
    for _ in range(length):
        totals = (scores[:, None] + F.log_softmax(last, -1)).flatten()
        scores, kept = totals.topk(beams)
        rows, token = kept // 11, kept % 11
        found = torch.cat([found[rows], token[:, None]], 1)
        last, state = model.step(token, gather_states(state, rows))
    return found[0], scores[0]


@torch.no_grad()
def test_a_beam_as_wide_as_everything_finds_the_likeliest_continuation(model):
    prompt = tokens(1, 4)
    found, score = beam_search(model, prompt, 2, beams=121)
    pairs = torch.cartesian_prod(torch.arange(11), torch.arange(11))
    chances = F.log_softmax(model(torch.cat([prompt.expand(121, -1), pairs], 1))[0][:, 3:5], -1)
    every = chances.gather(2, pairs[..., None]).sum((1, 2))
    assert found.tolist() == pairs[every.argmax()].tolist()
    assert_close("score", score, every.max())


@torch.no_grad()
def test_drafts_are_rolled_back_by_keeping_the_state(model):
    read = tokens(1, 12)
    _, kept = model(read[:, :6])
    _, draft = model(tokens(1, 4, seed=5), kept)
    assert draft.position.tolist() == [10]
    assert_close("after going back", model(read[:, 6:], kept)[0], model(read)[0][:, 6:])


@torch.no_grad()
def test_sequences_of_equal_length_that_were_read_alone_go_on_together(model):
    read = tokens(3, 15)
    state = batch_states([model(read[row : row + 1, :7])[1] for row in range(3)])
    assert_close("logits", model(read[:, 7:], state)[0], model(read)[0][:, 7:])
    with pytest.raises(ValueError, match=r"blocks.2.mixer.keys is \(1, 8, 1, 6\).* in state 1 and \(1, 7, 1, 6\)"):
        batch_states([model(read[:1, :7])[1], model(read[:1, :8])[1]])


@torch.no_grad()
def test_generation_goes_on_from_a_state(model):
    read = tokens(2, 9)
    _, state = model(read[:, :5])
    from_state = list(model.generate(read[:, 5:], 6, temperature=0, state=state))
    assert [t.tolist() for t in from_state] == [t.tolist() for t in model.generate(read, 6, temperature=0)]


def loss_in_pieces(model, read, cuts, between):
    """The summed loss of `read` run in pieces, with `between` done to the state from each to the next."""
    state, total = None, 0.0
    for begin, end in zip([0, *cuts], [*cuts, read.shape[1] - 1], strict=True):
        logits, state = model(read[:, begin:end], state)
        state = between(state)
        total = total + F.cross_entropy(logits.flatten(0, 1), read[:, begin + 1 : end + 1].flatten(), reduction="sum")
    return total


def gradients(model, loss):
    return torch.autograd.grad(loss, list(model.parameters()))


def test_gradients_cross_pieces_unless_the_state_is_detached(model):
    read = tokens(2, 31)
    whole = gradients(model, loss_in_pieces(model, read, [], lambda state: state))
    carried = gradients(model, loss_in_pieces(model, read, [7, 8, 20], lambda state: state))
    cut = gradients(model, loss_in_pieces(model, read, [7, 8, 20], detach_state))
    for (name, _), one, other in zip(model.named_parameters(), carried, whole, strict=True):
        assert_close(f"gradient of {name}", one, other)
    assert max(float((one - other).abs().max()) for one, other in zip(cut, whole, strict=True)) > 1e-3
    detached = detach_state(model(read)[1])
    assert not any(leaf.requires_grad for leaf in leaves(detached))
