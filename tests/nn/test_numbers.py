"""What statewise.nn computes: the formulas as loops, and layers, directions and layouts made of single ones."""

import pytest
import torch
from torch import nn

from nn.layers import OURS, as_hx, draw, hidden, single
from statewise.nn import MinGRU, MinLSTM
from statewise.testing import assert_close
from statewise.testing.compare import assert_same_bits


def by_hand(parts, h, *, lstm, normalise=True):
    """The paper's formulas: §3.1 and §3.2."""
    *gates, u = parts
    c = torch.where(u >= 0, u + 0.5, u.sigmoid())
    if not lstm:
        z = gates[0].sigmoid()
        return (1 - z) * h + z * c
    f, i = (gate.sigmoid() for gate in gates)
    total = f + i if normalise else 1
    return f / total * h + i / total * c


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize(
    ("cls", "options"), [(MinGRU, {}), (MinLSTM, {"normalise": True}), (MinLSTM, {"normalise": False})]
)
def test_one_layer_is_the_papers_loop(cls, options, with_state):
    rnn = cls(3, 4, dtype=torch.float64, **options)
    x, h_0 = draw(9, 2, 3).requires_grad_(), draw(1, 2, 4, seed=1).requires_grad_()
    output, state = rnn(x, as_hx(cls, h_0) if with_state else None)
    h, expected = h_0[0] if with_state else torch.zeros(2, 4, dtype=torch.float64), []
    for token in x:
        parts = (token @ rnn.weight_ih_l0.T + rnn.bias_ih_l0).chunk(rnn.projections, -1)
        h = by_hand(parts, h, lstm=cls is MinLSTM, **options)
        expected.append(h)
    assert_close("output", output, torch.stack(expected))
    assert_close("h_n", hidden(state), h[None])
    sources = [x, rnn.weight_ih_l0, rnn.bias_ih_l0, *([h_0] if with_state else [])]
    weigh, weigh_final = draw(9, 2, 4, seed=2), draw(2, 4, seed=3)
    ours = torch.autograd.grad((output * weigh).sum() + (hidden(state)[0] * weigh_final).sum(), sources)
    theirs = torch.autograd.grad((torch.stack(expected) * weigh).sum() + (h * weigh_final).sum(), sources)
    for left, right in zip(ours, theirs, strict=True):
        assert_close("gradient", left, right)


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_the_activation_is_that_of_the_candidate(cls, activation):
    rnn = cls(3, 4, activation=activation, dtype=torch.float64)
    x = draw(1, 2, 3)
    *gates, u = nn.functional.linear(x, rnn.weight_ih_l0, rnn.bias_ih_l0).chunk(rnn.projections, -1)
    content = u.tanh() if activation == "tanh" else u
    opened = gates[0].sigmoid() if cls is MinGRU else gates[1].sigmoid() / (gates[0].sigmoid() + gates[1].sigmoid())
    assert_close("output", rnn(x)[0], opened * content)


@pytest.mark.parametrize("cls", OURS)
def test_without_a_bias_there_is_none(cls):
    plain, biased = (cls(3, 4, num_layers=2, bias=bias, dtype=torch.float64) for bias in (False, True))
    biased.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        for name, parameter in biased.named_parameters():
            if name.startswith("bias"):
                parameter.zero_()
    assert_same_bits("output", plain(draw(5, 2, 3))[0], biased(draw(5, 2, 3))[0])


@pytest.mark.parametrize("cls", OURS)
def test_both_directions_are_two_runs_of_which_one_is_flipped(cls):
    rnn = cls(3, 4, bidirectional=True, dtype=torch.float64)
    x, h_0 = draw(9, 2, 3), draw(2, 2, 4, seed=1)
    output, state = rnn(x, as_hx(cls, h_0))
    there, there_state = single(rnn, 0)(x, as_hx(cls, h_0[:1]))
    back, back_state = single(rnn, 0, suffix="_reverse")(x.flip(0), as_hx(cls, h_0[1:]))
    assert_close("output", output, torch.cat([there, back.flip(0)], -1))
    assert_close("h_n", hidden(state), torch.cat([hidden(there_state), hidden(back_state)]))


@pytest.mark.parametrize("cls", OURS)
def test_three_layers_are_three_times_one(cls):
    rnn = cls(3, 4, num_layers=3, dtype=torch.float64)
    x, h_0 = draw(9, 2, 3), draw(3, 2, 4, seed=1)
    output, state = rnn(x, as_hx(cls, h_0))
    finals = []
    for layer in range(3):
        x, final = single(rnn, layer)(x, as_hx(cls, h_0[layer : layer + 1]))
        finals.append(hidden(final))
    assert_close("output", output, x)
    assert_close("h_n", hidden(state), torch.cat(finals))


def test_layers_and_directions_lie_in_torchs_order():
    options = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}
    ours, theirs = MinGRU(3, 4, **options), nn.GRU(3, 4, **options)
    kept = [name for name, _ in theirs.named_parameters() if "_hh_" not in name]
    assert [name for name, _ in ours.named_parameters()] == kept
    shapes = {name: parameter.shape for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        assert parameter.shape[0] / 2 == shapes[name][0] / 3
        assert parameter.shape[1:] == shapes[name][1:]
    x = draw(5, 1, 3)
    for rnn in (ours, theirs):
        output, h_n = rnn(x)
        assert_same_bits("forward", h_n[2], output[-1, :, :4])
        assert_same_bits("back", h_n[3], output[0, :, 4:])


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_time_first_batch_first_and_alone_are_one_function(cls, batch_first):
    rnn = cls(3, 4, num_layers=2, bidirectional=True, batch_first=batch_first, dtype=torch.float64)
    x, h_0 = draw(9, 2, 3), draw(4, 2, 4, seed=1)
    output, state = rnn(x.transpose(0, 1) if batch_first else x, as_hx(cls, h_0))
    for row in range(2):
        alone, alone_state = rnn(x[:, row], as_hx(cls, h_0[:, row]))
        assert_close("output", output[row] if batch_first else output[:, row], alone)
        assert_close("h_n", hidden(state)[:, row], hidden(alone_state))


@pytest.mark.parametrize("cls", OURS)
def test_a_sequence_cut_anywhere_and_continued_is_the_whole(cls):
    rnn = cls(3, 4, num_layers=2, dtype=torch.float64)
    x = draw(9, 2, 3)
    whole, final = rnn(x)
    for cut in range(10):
        begin, state = rnn(x[:cut])
        end, state = rnn(x[cut:], state)
        assert_close("output", torch.cat([begin, end]), whole)
        assert_close("h_n", hidden(state), hidden(final))


def test_the_past_does_not_see_the_future():
    rnn = MinGRU(3, 4, num_layers=2)
    x = draw(9, 2, 3, dtype=torch.float32)
    changed = x.clone()
    changed[5] += 1
    assert_same_bits("past", rnn(changed)[0][:5], rnn(x)[0][:5])
    assert not torch.equal(rnn(changed)[0][5:], rnn(x)[0][5:])
