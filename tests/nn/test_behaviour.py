"""What torch's layers do beside computing: dropout, initial values, dtypes, states that belong to the caller."""

import copy
import warnings

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from nn.layers import LENGTHS, OURS, PAIRS, as_hx, draw, hidden, single
from statewise.nn import MinGRU, MinLSTM
from statewise.testing import assert_close
from statewise.testing.compare import assert_same_bits


def test_dropout_stands_between_layers_and_only_in_training():
    rnn = MinGRU(3, 4, num_layers=2, dropout=1.0, dtype=torch.float64)
    x = draw(5, 2, 3)
    first, second = single(rnn, 0), single(rnn, 1)
    assert_close("training", rnn(x)[0], second(torch.zeros(5, 2, 4, dtype=torch.float64))[0])
    assert_close("h_n", rnn(x)[1][:1], first(x)[1])
    assert_close("evaluation", rnn.eval()(x)[0], second(first(x)[0])[0])
    rnn.train().dropout = 0.5
    assert not torch.equal(rnn(x)[0], rnn(x)[0])


@pytest.mark.parametrize(("theirs", "ours"), PAIRS)
def test_dropout_without_layers_to_stand_between_warns_as_torch_does(theirs, ours):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        theirs(3, 4, dropout=0.5)
        ours(3, 4, dropout=0.5)
    expected, actual = caught
    assert str(actual.message) == str(expected.message)
    assert actual.category is expected.category
    assert actual.filename == __file__


@pytest.mark.parametrize("cls", OURS)
def test_parameters_begin_as_torchs_do(cls):
    rnn = cls(10, 400, num_layers=2)
    for name, parameter in rnn.named_parameters():
        values = parameter.detach().clone()
        if cls is MinLSTM and name.startswith("bias"):
            assert values[:400].mean().item() == pytest.approx(3.0, abs=0.01)
            values[:400] -= 3
        assert values.abs().max().item() == pytest.approx(0.05, rel=0.02), name
        assert values.std().item() == pytest.approx(0.05 / 3**0.5, rel=0.05), name
    before = {name: value.clone() for name, value in rnn.state_dict().items()}
    rnn.reset_parameters()
    assert not any(torch.equal(value, before[name]) for name, value in rnn.state_dict().items())


def test_forget_bias_is_an_option():
    assert MinLSTM(3, 400, forget_bias=-2.0).bias_ih_l0[:400].mean().item() == pytest.approx(-2.0, abs=0.01)


@pytest.mark.parametrize("layout", [{}, {"batch_first": True}, {"bidirectional": True}])
def test_outputs_and_states_belong_to_the_caller(layout):
    rnn, x = MinLSTM(3, 4, **layout), draw(1, 1, 3, dtype=torch.float32)
    expected = torch.autograd.grad(rnn(x)[0].sum(), rnn.weight_ih_l0)[0]
    output, (h_n, c_n) = rnn(x)
    kept = c_n.detach().clone()
    h_n.mul_(0)
    assert torch.equal(c_n, kept)
    c_n.mul_(0)
    assert_close("gradient", torch.autograd.grad(output.mul_(1).sum(), rnn.weight_ih_l0)[0], expected)


def test_the_second_state_of_min_lstm_is_the_first():
    rnn = MinLSTM(3, 4, num_layers=2)
    x, h_0 = draw(5, 2, 3, dtype=torch.float32), draw(2, 2, 4, seed=1, dtype=torch.float32)
    output, (h_n, c_n) = rnn(x, (h_0, torch.full_like(h_0, torch.nan)))
    assert_same_bits("c_n", c_n, h_n)
    assert bool(output.isfinite().all())
    assert_same_bits("output", rnn(x, [h_0, h_0])[0], output)


@pytest.mark.parametrize("cls", OURS)
def test_no_tokens_leave_the_state_and_no_sequences_give_none(cls):
    rnn = cls(3, 4, num_layers=2, bidirectional=True)
    h_0 = draw(4, 2, 4, dtype=torch.float32)
    output, state = rnn(torch.zeros(0, 2, 3), as_hx(cls, h_0))
    assert output.shape == (0, 2, 8)
    assert_same_bits("h_n", hidden(state), h_0)
    output, state = rnn(torch.zeros(5, 0, 3))
    assert output.shape == (5, 0, 8)
    assert hidden(state).shape == (4, 0, 4)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("cls", OURS)
def test_bfloat16_stays_near_float32(cls, packed):
    rnn = cls(6, 8, num_layers=2, bidirectional=True)
    narrow = copy.deepcopy(rnn).bfloat16()
    x = draw(7, 5, 6, dtype=torch.float32)
    wrap = (lambda x: pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)) if packed else lambda x: x
    outputs = [rnn(wrap(x))[0], narrow(wrap(x.bfloat16()))[0]]
    wide, close = (output.data if packed else output for output in outputs)
    assert close.dtype == torch.bfloat16
    assert_close("output", close, wide)
    close.float().sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in narrow.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cls", OURS)
def test_token_by_token_is_all_at_once(cls, dtype):
    rnn = cls(6, 8, num_layers=2).double()
    x = draw(20, 2, 6)
    expected, final = rnn(x)
    rnn.to(dtype)
    state, outputs = None, []
    for token in x.to(dtype):
        output, state = rnn(token[None], state)
        outputs.append(output)
    assert_close("output", torch.cat(outputs), expected)
    assert_close("h_n", hidden(state), hidden(final))
    assert hidden(state).dtype == dtype


@pytest.mark.parametrize("cls", OURS)
def test_one_token_is_rounded_once_as_many_are(cls):
    rnn, x = cls(6, 32).bfloat16(), draw(2, 64, 6, dtype=torch.bfloat16)
    assert (rnn(x)[0][:1] != rnn(x[:1])[0]).float().mean().item() < 0.02


@pytest.mark.parametrize("cls", OURS)
def test_under_autocast_states_of_either_dtype_are_taken(cls):
    rnn = cls(6, 8, num_layers=2)
    x, h_0 = draw(7, 2, 6, dtype=torch.float32), draw(2, 2, 8, seed=1, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        output, state = rnn(x, as_hx(cls, h_0))
        rnn(output.new_zeros(7, 2, 6), state)
    assert output.dtype == torch.bfloat16
    assert_close("output", output, rnn(x, as_hx(cls, h_0))[0])
