"""sLSTM against the authors' package, and what only it has: a stabiliser, and gates that see the hidden state."""

import pytest
import torch
from xlstm.blocks.slstm.cell import sLSTMCell, sLSTMCellConfig
from xlstm.blocks.slstm.layer import sLSTMLayer, sLSTMLayerConfig

from statewise.core.random import seeded
from statewise.mixers.slstm import SLSTM, SLSTMState
from statewise.ops.slstm_scan import CellState, slstm_scan
from statewise.testing import assert_close, check_mixer

WIDTH, HEADS, LENGTH = 8, 2, 20


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def build(width=WIDTH, **options):
    with seeded(0):
        return SLSTM(width, recurrent_init="uniform", **options).double()


def oracle_cell():
    config = sLSTMCellConfig(
        hidden_size=WIDTH, num_heads=HEADS, backend="vanilla", recurrent_weight_init="standard", bias_init="standard"
    )
    with seeded(1):
        return sLSTMCell(config).double()


def recurrence_and_bias(cell):
    """The cell's recurrent matrices (H, d, 4·d) and biases (H, 4·d), in our order."""
    bias = cell._bias_.view(4, HEADS, -1).transpose(0, 1).flatten(1)
    return cell._recurrent_kernel_.transpose(1, 2), bias


def by_gate(gates):
    """(B, T, H, 4·d) → (B, T, 4·D), as the package has its pre-activations."""
    return gates.unflatten(-1, (4, -1)).transpose(2, 3).flatten(2)


def by_head(state):
    """(4, B, D) → four of (B, H, d)."""
    return CellState(*state.unflatten(-1, (HEADS, -1)).unbind(0))


def test_recurrence_is_the_packages_with_all_four_states_and_gradients():
    cell = oracle_cell()
    recurrent, bias = recurrence_and_bias(cell)
    gates = (2 * random(3, LENGTH, HEADS, 16)).requires_grad_()
    with torch.no_grad():
        start = cell(by_gate(gates)[:, :4])[1]
    start = start.requires_grad_()
    expected, expected_final = cell(by_gate(gates), start)
    hidden, final = slstm_scan(gates + bias, recurrent, by_head(start))
    expected = expected.transpose(1, 2)
    assert_close("hidden", hidden, expected)
    for name, part, other in zip(CellState._fields, final, by_head(expected_final), strict=True):
        assert_close(name, part, other)
    weights = random(*expected.shape, seed=1), random(*expected_final.shape, seed=2)
    theirs = (expected * weights[0]).sum() + (expected_final * weights[1]).sum()
    ours = (hidden * weights[0]).sum() + (torch.stack(final).flatten(2) * weights[1]).sum()
    inputs = (gates, start, cell._recurrent_kernel_, cell._bias_)
    pairs = zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True)
    for name, (mine, other) in zip(("gates", "initial state", "recurrent", "bias"), pairs, strict=True):
        assert_close(f"gradient of {name}", mine, other)


def test_an_empty_state_is_the_packages():
    cell = oracle_cell()
    recurrent, bias = recurrence_and_bias(cell)
    gates = 2 * random(3, LENGTH, HEADS, 16)
    expected, expected_final = cell(by_gate(gates))
    hidden, final = slstm_scan(gates + bias, recurrent)
    assert_close("hidden", hidden, expected.transpose(1, 2))
    for name, part, other in zip(CellState._fields, final, by_head(expected_final), strict=True):
        assert_close(name, part, other)


def oracle_layer(taps):
    config = sLSTMLayerConfig(
        embedding_dim=WIDTH,
        num_heads=HEADS,
        backend="vanilla",
        conv1d_kernel_size=taps,
        recurrent_weight_init="standard",
        bias_init="standard",
    )
    with seeded(1):
        layer = sLSTMLayer(config).double()
        torch.nn.init.normal_(layer.group_norm.weight)
    return layer


def copy_weights(ours, theirs):
    # The package sends the projection called fgate to the input gate, and igate to the forget gate.
    for mine, names in ((ours.input_forget, ("fgate", "igate")), (ours.cell_output, ("zgate", "ogate"))):
        mine.copy_(torch.cat([getattr(theirs, name).weight.transpose(1, 2) for name in names], -1))
    recurrence, bias = recurrence_and_bias(theirs.slstm_cell)
    ours.recurrence.copy_(recurrence)
    ours.bias.copy_(bias)
    ours.norm_weight.copy_(1 + theirs.group_norm.weight)
    if ours.conv:
        ours.conv_weight.copy_(theirs.conv1d.conv.weight[:, 0].flip(1).T)
        ours.conv_bias.copy_(theirs.conv1d.conv.bias)


@pytest.mark.parametrize("taps", [4, 0])
def test_layer_is_the_packages_with_copied_weights(taps):
    theirs, ours = oracle_layer(taps), build(heads=HEADS, conv=taps)
    x = random(3, LENGTH, WIDTH, seed=3)
    with torch.no_grad():
        copy_weights(ours, theirs)
        expected, states = theirs(x, return_last_state=True) if taps else (theirs(x), None)
        outputs, final = ours(x)
    assert_close("outputs", outputs, expected)
    if states is not None:
        for name, part, other in zip(SLSTMState._fields, final, states["slstm_state"], strict=False):
            assert_close(name, part, other)
        assert_close("window", final.window, states["conv_state"])


def test_initialisation_is_the_packages():
    with seeded(0):
        theirs = sLSTMLayer(sLSTMLayerConfig(embedding_dim=256, backend="vanilla", _block_idx=1, _num_blocks=3))
        theirs.reset_parameters()
        ours = SLSTM(256, height=0.5)
    bias = theirs.slstm_cell._bias_.view(4, 4, 64).transpose(0, 1).flatten(1)
    assert_close("bias", ours.bias, bias)
    assert not ours.recurrence.any()
    assert not theirs.slstm_cell._recurrent_kernel_.any()
    for mine, their in (
        (ours.input_forget, theirs.igate.weight),
        (ours.cell_output, theirs.zgate.weight),
        (ours.conv_weight, theirs.conv1d.conv.weight),
        (ours.conv_bias, theirs.conv1d.conv.bias),
    ):
        assert mine.std().item() == pytest.approx(their.std().item(), rel=0.1)


@pytest.mark.parametrize("options", [{}, {"conv": 0, "norm": False, "heads": 3}, {"heads": 2, "conv": 1}], ids=str)
def test_laws_hold(options):
    check_mixer(build(6, **options))


@pytest.mark.parametrize(("width", "heads"), [(1, 1), (2, 1), (6, 1), (16, 2), (18, 2), (32, 4), (192, 4), (256, 4)])
def test_default_heads_divide_the_width_and_have_channels_to_normalise(width, heads):
    layer = SLSTM(width)
    assert layer.heads == heads
    assert layer(torch.ones(1, 2, width))[0].shape == (1, 2, width)


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_gates_of_any_size_stay_finite(scale):
    layer = build(conv=0)
    with torch.no_grad():
        layer.input_forget.mul_(scale)
    x = random(2, LENGTH, WIDTH).requires_grad_()
    y, state = layer(x)
    (grad,) = torch.autograd.grad(y.sum() + state.cell.sum(), x)
    assert bool(y.isfinite().all() & grad.isfinite().all())
    assert bool((state.normaliser >= 1).all())


def test_nothing_crosses_a_reset_not_even_a_nan():
    x = random(1, 6, WIDTH)
    x[:, 2] = torch.nan
    reset = torch.zeros(1, 6, dtype=torch.bool)
    reset[:, 3] = True
    layer = build()
    assert_close("outputs", layer(x, reset=reset)[0][:, 3:], layer(x[:, 3:])[0])


def test_bfloat16_keeps_its_state_in_float32():
    layer, x = build(32), random(2, LENGTH, 32)
    expected, _ = layer(x)
    narrow = build(32).bfloat16()
    y, state = narrow(x.bfloat16())
    y.sum().backward()
    assert [part.dtype for part in state] == [torch.float32] * 4 + [torch.bfloat16]
    assert narrow.step(x[:, 0].bfloat16(), state)[0].dtype == y.dtype == torch.bfloat16
    assert all(bool(parameter.grad.isfinite().all()) for parameter in narrow.parameters())
    assert (y.double() - expected).abs().mean() < 0.05


# While it traces an autograd.Function, torch does what it has deprecated.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_whole():
    layer, x = build(6), random(2, 5, 6).requires_grad_()
    reset = torch.arange(10).reshape(2, 5) % 3 == 1
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    y, _ = compiled(x, reset=reset)
    expected, _ = layer(x, reset=reset)
    assert_close("outputs", y, expected)
    (grad,), (expected_grad,) = (torch.autograd.grad(each.square().sum(), x) for each in (y, expected))
    assert_close("gradient", grad, expected_grad)


def test_wrong_options_name_the_value():
    with pytest.raises(ValueError, match="SLSTM: heads is 3; it must divide the width, 8"):
        SLSTM(8, heads=3)
    with pytest.raises(ValueError, match="SLSTM: conv is -1; it must be at least 0"):
        SLSTM(8, conv=-1)
    with pytest.raises(ValueError, match="SLSTM: height is 2; it must be between 0 and 1"):
        SLSTM(8, height=2)
    with pytest.raises(ValueError, match="unknown recurrent_init 'uniforn': did you mean uniform"):
        SLSTM(8, recurrent_init="uniforn")
