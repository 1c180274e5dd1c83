"""RG-LRU against transformers' RecurrentGemma block, its random weights copied. Theirs keeps the state in float32."""

import pytest
import torch
from transformers import RecurrentGemmaConfig
from transformers.models.recurrent_gemma.modeling_recurrent_gemma import RecurrentGemmaRecurrentBlock

from statewise.mixers.rg_lru import RGLRU, first_tokens
from statewise.testing import assert_close


@pytest.fixture
def theirs():
    config = RecurrentGemmaConfig(hidden_size=12, lru_width=12, num_attention_heads=3, num_hidden_layers=3)
    block = RecurrentGemmaRecurrentBlock(config, 0).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return block


def converted(theirs, *, scale_first):
    ours = RGLRU(12, head_size=4, scale_first=scale_first).double()
    weights = {name: value.detach() for name, value in theirs.named_parameters()}
    gates = [f"rg_lru.{gate}_gate" for gate in ("recurrent", "input")]
    ours.load_state_dict(
        {
            "gate.weight": weights["linear_y.weight"],
            "gate.bias": weights["linear_y.bias"],
            "input.weight": weights["linear_x.weight"],
            "input.bias": weights["linear_x.bias"],
            "conv_weight": weights["conv_1d.weight"][:, 0].T.flip(0),
            "conv_bias": weights["conv_1d.bias"],
            "gates_weight": torch.cat([weights[f"{gate}_weight"] for gate in gates], -1),
            "gates_bias": torch.cat([weights[f"{gate}_bias"] for gate in gates], -1),
            "rate": weights["rg_lru.recurrent_param"],
            "output.weight": weights["linear_out.weight"],
            "output.bias": weights["linear_out.bias"],
        }
    )
    return ours


@pytest.mark.parametrize("scale_first", [True, False])
def test_the_block_is_transformers(theirs, scale_first):
    """Theirs leaves the first root out where positions start at 0, and has none to leave out where they do not."""
    x = torch.randn(2, 30, 12, dtype=torch.float64)
    positions = torch.arange(30).expand(2, 30) + int(scale_first)
    expected, _ = theirs(x, positions, None)
    y, state = converted(theirs, scale_first=scale_first)(x)
    assert_close("outputs", y, expected, dtype=torch.float32)
    assert_close("hidden", state.hidden, theirs.rg_lru.recurrent_states, dtype=torch.float32)
    assert_close("window", state.window, theirs.conv1d_state.transpose(1, 2), dtype=torch.float32)


def test_a_token_after_the_others_is_transformers(theirs):
    x = torch.randn(2, 9, 12, dtype=torch.float64)
    theirs(x[:, :8], torch.arange(8).expand(2, 8), None)
    expected, _ = theirs(x[:, 8:], torch.full((2, 1), 8), None)
    ours = converted(theirs, scale_first=False)
    _, state = ours(x[:, :8])
    assert_close("outputs", ours.step(x[:, 8], state)[0], expected[:, 0], dtype=torch.float32)


def test_only_the_first_step_leaves_the_root_out():
    layer, x = RGLRU(6, scale_first=False).double(), torch.randn(2, 5, 6, dtype=torch.float64)
    state, outputs = layer.initial_state(2), []
    for token in x.unbind(1):
        y, state = layer.step(token, state)
        outputs.append(y)
    assert_close("outputs", torch.stack(outputs, 1), layer(x)[0])


def test_gradients_are_transformers(theirs):
    x = torch.randn(2, 9, 12, dtype=torch.float64)
    ours = converted(theirs, scale_first=True)
    ours(x)[0].square().sum().backward()
    theirs(x, torch.arange(1, 10).expand(2, 9), None, use_cache=False)[0].square().sum().backward()
    assert_close("rate", ours.rate.grad, theirs.rg_lru.recurrent_param.grad, dtype=torch.float32)
    assert_close("gate", ours.gate.weight.grad, theirs.linear_y.weight.grad, dtype=torch.float32)
    gates = ours.gates_weight.grad.chunk(2, -1)
    assert_close("recurrence", gates[0], theirs.rg_lru.recurrent_gate_weight.grad, dtype=torch.float32)
    assert_close("entrance", gates[1], theirs.rg_lru.input_gate_weight.grad, dtype=torch.float32)


def test_the_first_token_of_every_sequence():
    begun, reset = torch.tensor([[False], [True]]), torch.tensor([[False, False, True], [True, False, False]])
    assert first_tokens(begun, 3, reset).tolist() == [[True, False, True], [True, False, False]]
    assert first_tokens(begun, 0, None).shape == (2, 0)


def test_a_gate_that_shuts_for_good_has_a_gradient():
    layer = RGLRU(2)
    with torch.no_grad():
        layer.gates_bias.fill_(-200)
    y, state = layer(torch.ones(1, 3, 2))
    (y.sum() + state.hidden.sum()).backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in layer.parameters())


def test_it_starts_as_published():
    layer = RGLRU(64, units=4096)
    assert layer.head_size == 256
    decay = torch.exp(-torch.nn.functional.softplus(layer.rate))
    assert 0.8999 < decay.min().item() < 0.901
    assert 0.998 < decay.max().item() < 0.9991
    assert decay.square().mean().item() == pytest.approx((0.81 + 0.998) / 2, abs=0.01)
    assert layer.gates_weight.std().item() == pytest.approx(1 / 16, rel=0.02)
    assert layer.conv_weight.std().item() == pytest.approx(0.05, rel=0.05)
    assert layer.output.weight.std().item() == pytest.approx(1 / 64, rel=0.02)


def test_wrong_options_name_the_value():
    with pytest.raises(ValueError, match="RGLRU: conv is 0; it must be at least 1"):
        RGLRU(4, conv=0)
    with pytest.raises(ValueError, match="RGLRU: units is 0"):
        RGLRU(4, units=0)
    with pytest.raises(ValueError, match="RGLRU: head_size is 3; it must divide"):
        RGLRU(4, head_size=3)
