"""Mixers with a memory of matrices against their quadratic forms, and against implementations by others."""

import pytest
import torch
import torch.nn.functional as F
from transformers import Mamba2Config, xLSTMConfig, xLSTMModel
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

from statewise.core.random import seeded
from statewise.mixers.gla import GLA
from statewise.mixers.linear_attention import LinearAttention
from statewise.mixers.mamba2 import Mamba2
from statewise.mixers.mlstm import MLSTM
from statewise.mixers.retention import Retention
from statewise.testing import assert_close

# What the xlstm package uses when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


@pytest.fixture
def x():
    return torch.randn(2, 70, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def heads_of(x, count):
    """(B, T, H·d) as (B, H, T, d)."""
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


@pytest.mark.parametrize("feature", ["identity", "elu", "relu"])
@pytest.mark.parametrize("normalise", [False, True])
def test_linear_attention_is_its_quadratic_form(x, feature, normalise):
    if normalise and feature == "identity":
        pytest.skip("refused: the sum of weights may be zero")
    layer = LinearAttention(12, head_size=4, feature_map=feature, normalise=normalise).double()
    phi = {"identity": lambda u: u, "elu": lambda u: F.elu(u) + 1, "relu": F.relu}[feature]
    query, key, value = (heads_of(each, 3) for each in layer.query_key_value(x).chunk(3, -1))
    weights = (phi(query) @ phi(key).mT).tril()
    if normalise:
        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-6)
    assert_close("outputs", layer(x)[0], layer.output((weights @ value).transpose(1, 2).flatten(2)))


def test_linear_attention_refuses_to_divide_by_what_may_be_zero():
    with pytest.raises(ValueError, match="which the identity lets be zero or negative"):
        LinearAttention(4, normalise=True)
    with pytest.raises(ValueError, match="unknown feature map of LinearAttention 'cosine'"):
        LinearAttention(4, feature_map="cosine")


def complex_pairs(x):
    """Channel pairs (i, i + d/2) as complex numbers."""
    return torch.complex(*x.chunk(2, -1))


def test_retention_is_its_quadratic_form(x):
    layer = Retention(12, head_size=4).double()
    query, key = (complex_pairs(heads_of(each, 3)) for each in layer.query_key(x).chunk(2, -1))
    value = heads_of(layer.value_gate(x)[..., :24], 3)
    times = torch.arange(70)
    distances = times[:, None] - times
    angles = distances[..., None] * 10_000.0 ** (-torch.arange(2, dtype=torch.float64) / 2)
    turned = torch.einsum("bhtd,tsd,bhsd->bhts", query.conj(), torch.polar(torch.ones_like(angles), -angles), key).real
    rates = 1 - 2.0 ** (-5 - torch.arange(3, dtype=torch.float64))
    fade = torch.where(distances >= 0, rates[:, None, None] ** distances.clamp(min=0), 0)
    answers = (turned * fade / 2 @ value).transpose(1, 2)
    normed = answers / (answers.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    gated = normed.flatten(2) * F.silu(layer.value_gate(x)[..., 24:])
    assert_close("outputs", layer(x)[0], layer.output(gated))


def test_retention_counts_no_places(x):
    layer = Retention(12).double()
    _, state = layer(x)
    far, near = layer(x, layer(x.repeat(1, 20, 1), None)[1])[0], layer(x, layer(x.repeat(1, 19, 1), state)[1])[0]
    assert_close("after 1,400 tokens", far, near)


def test_gla_is_its_recurrence(x):
    layer = GLA(12, heads=2).double()
    torch.nn.init.normal_(layer.forget[1].bias)
    query, key = (each.unflatten(-1, (2, 3)) for each in layer.query_key(x).chunk(2, -1))
    value = layer.value_gate(x)[..., :12].unflatten(-1, (2, 6))
    alpha = layer.forget(x).sigmoid().pow(1 / 16).unflatten(-1, (2, 3))
    memory, outputs = torch.zeros(2, 2, 3, 6, dtype=torch.float64), []
    for t in range(70):
        memory = alpha[:, t, :, :, None] * memory + key[:, t, :, :, None] * value[:, t, :, None, :]
        outputs.append(torch.einsum("bhk,bhkv->bhv", query[:, t], memory) / 3**0.5)
    answers = torch.stack(outputs, 1)
    normed = answers / (answers.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    gated = normed.flatten(2) * F.silu(layer.value_gate(x)[..., 12:])
    assert_close("outputs", layer(x)[0], layer.output(gated))


@pytest.fixture
def mlstm():
    """The layer of transformers' xLSTM of width 128, ours with its weights, and 130 tokens."""
    config = xLSTMConfig(
        hidden_size=128, num_heads=4, num_hidden_layers=1, vocab_size=8, autocast_kernel_dtype="float32"
    )
    with seeded(0):
        theirs, ours, tokens = xLSTMModel(config).blocks[0].mlstm_layer, MLSTM(128), torch.randn(2, 130, 128)
        torch.nn.init.normal_(theirs.igate_preact.weight)
        torch.nn.init.normal_(theirs.fgate_preact.weight)
        torch.nn.init.normal_(theirs.multihead_norm.weight)
    ours.load_state_dict(
        {
            "query_key.weight": torch.cat([theirs.q.weight, theirs.k.weight]),
            "value_gate.weight": torch.cat([theirs.v.weight, theirs.ogate_preact.weight]),
            "input_forget.weight": torch.cat([theirs.igate_preact.weight, theirs.fgate_preact.weight]),
            "input_forget.bias": torch.cat([theirs.igate_preact.bias, theirs.fgate_preact.bias]),
            "norm_weight": theirs.multihead_norm.weight,
            "output.weight": theirs.out_proj.weight,
        }
    )
    return theirs, ours, tokens


def test_mlstm_is_transformers_layer(mlstm):
    theirs, ours, tokens = mlstm
    with torch.no_grad():
        expected, (memory, normaliser, maximum) = theirs(tokens)
        outputs, state = ours(tokens)
    assert_close("outputs", outputs, expected)
    scale = (state.maximum - maximum[..., 0]).exp()
    assert_close("memory", state.memory * scale[..., None, None], memory)
    assert_close("normaliser", state.normaliser * scale[..., None], normaliser)


def test_mlstm_gradients_are_those_of_transformers_layer(mlstm):
    theirs, ours, tokens = mlstm
    theirs.mlstm_backend.config.mode = "train"
    grads = []
    for layer in (theirs, ours):
        x = tokens[:, :128].clone().requires_grad_()
        (layer(x)[0].sin().sum()).backward()
        grads.append(x.grad)
    assert_close("gradient", grads[1], grads[0])


def test_mlstm_starts_as_published():
    bias = MLSTM(64).input_forget.bias.detach()
    assert bias.tolist() == [-10.0] * 4 + [3.0, 4.0, 5.0, 6.0]
    with pytest.raises(ValueError, match="heads is 3; it must divide the width, 64"):
        MLSTM(64, heads=3)
    with pytest.raises(ValueError, match="soft_cap is 0; it must be above 0"):
        MLSTM(64, soft_cap=0)


@pytest.mark.parametrize("groups", [1, 2])
def test_mamba2_is_transformers_mixer(groups):
    config = Mamba2Config(
        hidden_size=16, num_heads=4, head_dim=8, state_size=6, expand=2, n_groups=groups, num_hidden_layers=1,
        chunk_size=32, layer_norm_epsilon=1e-5,
    )  # fmt: skip
    with seeded(0):
        theirs, ours, tokens = Mamba2Mixer(config, 0).eval(), Mamba2(16, state_size=6, head_size=8, groups=groups), None
        tokens = torch.randn(2, 75, 16)
        for name in ("D", "norm.weight"):
            torch.nn.init.normal_(theirs.get_parameter(name))
    ours.load_state_dict(
        {
            "projection.weight": theirs.in_proj.weight,
            "conv_weight": theirs.conv1d.weight[:, 0].flip(1).T,
            "conv_bias": theirs.conv1d.bias,
            "log_rate": theirs.A_log,
            "step_bias": theirs.dt_bias,
            "skip": theirs.D,
            "norm.weight": theirs.norm.weight,
            "output.weight": theirs.out_proj.weight,
        }
    )
    with torch.no_grad():
        assert_close("outputs", ours(tokens)[0], theirs(tokens))


def test_mamba2_starts_as_published():
    layer = Mamba2(64, head_size=1)
    steps, rates = F.softplus(layer.step_bias), layer.log_rate.exp()
    assert 1e-3 <= steps.min().item() < 2e-3
    assert 0.05 < steps.max().item() <= 0.1 + 1e-6
    assert 1 <= rates.min().item() < 2
    assert 14 < rates.max().item() <= 16


def test_mamba2_refuses_what_does_not_divide():
    with pytest.raises(ValueError, match="groups is 3; it must divide the number of heads, 2"):
        Mamba2(64, groups=3)
    with pytest.raises(ValueError, match="state_size is 0; it must be at least 1"):
        Mamba2(64, state_size=0)
