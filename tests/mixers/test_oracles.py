"""Each mixer against an implementation written by others, or the paper's formula in float64."""

import pytest
import torch
import torch.nn.functional as F
from minGRU_pytorch.minGRU import minGRU as PackageMinGRU
from minGRU_pytorch.minLSTM import minLSTM as PackageMinLSTM
from torch import nn

from statewise.mixers import GRU, LSTM, MinGRU, MinLSTM, ShortConv
from statewise.testing import assert_close


@pytest.fixture
def x():
    return torch.randn(2, 50, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def log_g(u):
    """log g of Feng et al., listing 6."""
    return torch.where(u >= 0, (F.relu(u) + 0.5).log(), -F.softplus(-u))


def heinsen_scan(log_decay, log_drive):
    """h_t = Σ_{s ≤ t} exp(A_t − A_s + log b_s), A the running sum of log decays: the paper's log-space form."""
    total = log_decay.cumsum(1)
    return (total + torch.logcumsumexp(log_drive - total, 1)).exp()


def test_min_gru_is_the_papers_log_space_formula(x):
    layer = MinGRU(6, expansion=2).double()
    gate, candidate = layer.projection(x).chunk(2, -1)
    states = heinsen_scan(-F.softplus(gate), -F.softplus(-gate) + log_g(candidate))
    assert_close("outputs", layer(x)[0], layer.output(states))


@pytest.mark.parametrize("normalise", [True, False])
def test_min_lstm_is_the_papers_log_space_formula(x, normalise):
    layer = MinLSTM(6, expansion=2, normalise=normalise).double()
    forget, write, candidate = layer.projection(x).chunk(3, -1)
    log_f, log_i = -F.softplus(-forget), -F.softplus(-write)
    if normalise:
        difference = F.softplus(-forget) - F.softplus(-write)
        log_f, log_i = -F.softplus(difference), -F.softplus(-difference)
    assert_close("outputs", layer(x)[0], layer.output(heinsen_scan(log_f, log_i + log_g(candidate))))


def from_package(theirs, ours, order):
    """Ours with the weights of minGRU-pytorch's layer, whose projections stand in another order and have no biases."""
    pieces = theirs.get_parameter(order).chunk(ours.projections)
    ours.load_state_dict(
        {
            "projection.weight": torch.cat([*pieces[1:], pieces[0]]),
            "projection.bias": torch.zeros(len(theirs.get_parameter(order)), dtype=torch.float64),
            "output.weight": theirs.to_out.weight,
            "output.bias": torch.zeros(6, dtype=torch.float64),
        }
    )
    return ours


def test_min_gru_is_that_of_min_gru_pytorch(x):
    theirs = PackageMinGRU(6, expansion_factor=2.0).double()
    ours = from_package(theirs, MinGRU(6, expansion=2).double(), "to_hidden_and_gate.weight")
    expected, hidden = theirs(x[:, :30], return_next_prev_hidden=True)
    y, state = ours(x[:, :30])
    assert_close("outputs", y, expected)
    assert_close("state", state.hidden, hidden[:, 0])
    assert_close("continued", ours(x[:, 30:], state)[0], theirs(x[:, 30:], prev_hidden=hidden))


def test_min_lstm_is_that_of_min_gru_pytorch_but_for_its_carried_state(x):
    theirs = PackageMinLSTM(6, expansion_factor=2.0).double()
    ours = from_package(theirs, MinLSTM(6, expansion=2).double(), "to_hidden_and_f_i_gate.weight")
    expected, hidden = theirs(x[:, :30], return_next_prev_hidden=True)
    y, state = ours(x[:, :30])
    assert_close("outputs", y, expected)
    assert_close("state", state.hidden, hidden[:, 0])
    # Its parallel form takes log g(h) for log h, so that h + 1/2 goes in; its own step takes h, as ours does.
    started = type(state)(state.hidden + 0.5)
    assert_close("continued", ours(x[:, 30:], started)[0], theirs(x[:, 30:], prev_hidden=hidden))
    assert_close("one step", ours(x[:, 30:31], state)[0], theirs(x[:, 30:31], prev_hidden=hidden))


def test_min_lstm_gates_are_shares_of_their_sum(x):
    layer = MinLSTM(6).double()
    forget, write, candidate = layer.projection(x).chunk(3, -1)
    f, i = forget.sigmoid(), write.sigmoid()
    decay, drive = layer.decay_and_drive(forget, write, candidate)
    assert_close("forget share", decay, f / (f + i))
    assert_close("drive", drive, i / (f + i) * torch.where(candidate >= 0, candidate + 0.5, candidate.sigmoid()))


def test_gates_that_saturate_stay_exact():
    layer = MinLSTM(1).double()
    with torch.no_grad():
        layer.projection.weight.zero_()
        layer.projection.bias[:] = torch.tensor([-800.0, -900.0, 1.0])
    y, state = layer(torch.zeros(1, 4, 1, dtype=torch.float64))
    assert bool(y.isfinite().all())
    assert state.hidden.item() == pytest.approx(4 * 1.5 * torch.tensor(-100.0).exp().item(), abs=1e-12)


def test_forget_bias_moves_the_initial_gate():
    for bias in (0.0, 3.0):
        forget, write, candidate = MinLSTM(64, forget_bias=bias).projection.bias.detach().view(3, 64).mean(1).tolist()
        assert forget == pytest.approx(bias, abs=0.1)
        assert (write, candidate) == pytest.approx((0.0, 0.0), abs=0.1)


@pytest.mark.parametrize(("cls", "theirs"), [(GRU, nn.GRU), (LSTM, nn.LSTM)])
def test_gru_and_lstm_are_torchs_with_copied_weights(x, cls, theirs):
    ours, oracle = cls(6).double(), theirs(6, 6, batch_first=True).double()
    oracle.load_state_dict(ours.cell.state_dict())
    y, final = oracle(x)
    finals = final if isinstance(final, tuple) else (final,)
    mine, state = ours(x)
    assert_close("outputs", mine, y)
    for left, right in zip(state, finals, strict=True):
        assert_close("final", left, right[0])


@pytest.mark.parametrize("taps", [1, 2, 4])
def test_short_conv_is_torchs_depthwise_convolution_on_a_residual(x, taps):
    layer = ShortConv(6, taps=taps).double()
    nn.init.normal_(layer.bias)
    weight = layer.weight.T.flip(1)[:, None]
    convolved = F.conv1d(F.pad(x.transpose(1, 2), (taps - 1, 0)), weight, layer.bias, groups=6)
    assert_close("outputs", layer(x)[0], x + convolved.transpose(1, 2))


@pytest.mark.parametrize("taps", [1, 4])
def test_a_short_conv_starts_with_the_weights_of_torchs(taps):
    ours, theirs = ShortConv(2000, taps=taps).weight, nn.Conv1d(2000, 2000, taps, groups=2000).weight
    assert ours.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=0.01)
    assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.05)


def test_wrong_options_name_the_value():
    with pytest.raises(ValueError, match="expansion is 0"):
        MinGRU(4, expansion=0)
    with pytest.raises(ValueError, match="activation is 'relu'; it must be one of g, tanh, identity"):
        MinLSTM(4, activation="relu")
    with pytest.raises(ValueError, match="taps is 0"):
        ShortConv(4, taps=0)
