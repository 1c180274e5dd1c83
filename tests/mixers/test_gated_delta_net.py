"""Gated DeltaNet against transformers' layer of OLMo Hybrid with copied weights."""

import pytest
import torch
import torch.nn.functional as F
from transformers.models.olmo_hybrid import OlmoHybridConfig
from transformers.models.olmo_hybrid.modeling_olmo_hybrid import OlmoHybridGatedDeltaNet

from statewise.core.errors import UsageError
from statewise.core.random import seeded
from statewise.mixers.gated_delta_net import GatedDeltaNet
from statewise.testing import assert_close, check_mixer

OPTIONS = [
    {},
    {"head_size": 2},
    {"head_size": 3, "heads": 3, "value_expansion": 1},
    {"conv": 0, "gate": False},
    {"allow_negative_eigenvalues": True},
]


def build(width=6, **options):
    with seeded(0):
        return GatedDeltaNet(width, **options)


def oracle(layer):
    """Their layer, in float32, with the weights of ours."""
    heads, keys, values = layer.memory_shape
    config = OlmoHybridConfig(
        hidden_size=layer.width,
        linear_num_key_heads=heads,
        linear_num_value_heads=heads,
        linear_key_head_dim=keys,
        linear_value_head_dim=values,
        linear_conv_kernel_dim=len(layer.conv_weight),
        linear_allow_neg_eigval=layer.allow_negative_eigenvalues,
    )
    theirs = OlmoHybridGatedDeltaNet(config, 0)
    sizes = [heads * keys, heads * keys, heads * values]
    for name, weight in zip("qkv", layer.query_key_value.weight.split(sizes), strict=True):
        getattr(theirs, f"{name}_proj").weight = torch.nn.Parameter(weight.detach())
    copied = {
        "a_proj.weight": layer.forget.weight,
        "b_proj.weight": layer.rate.weight,
        "g_proj.weight": layer.gate.weight,
        "o_proj.weight": layer.output.weight,
        "o_norm.weight": layer.norm.weight,
        "conv1d.weight": layer.conv_weight.T.flip(1)[:, None],
        "A_log": layer.log_speed,
        "dt_bias": layer.step_bias,
    }
    left = theirs.load_state_dict(copied, strict=False)
    assert set(left.missing_keys) == {f"{name}_proj.weight" for name in "qkv"}
    return theirs


@pytest.mark.parametrize("options", [{}, {"allow_negative_eigenvalues": True}, {"heads": 3, "conv": 2}], ids=str)
def test_outputs_and_gradients_are_those_of_transformers(options):
    layer = build(32, head_size=8, **options)
    x = torch.randn(2, 100, 32, generator=torch.Generator().manual_seed(1)).requires_grad_()
    y, expected = layer(x)[0], oracle(layer)(x)
    assert_close("outputs", y, expected)
    ours, theirs = (torch.autograd.grad(each.square().sum(), x)[0] for each in (y, expected))
    assert_close("gradient of x", ours, theirs)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_laws_hold_with_every_option(options):
    check_mixer(build(**options).double())


def test_what_is_forgotten_is_the_papers_formula():
    layer, x = build(32, head_size=8).double(), torch.randn(2, 5, 32, dtype=torch.float64)
    speed, step = layer.log_speed.exp(), F.softplus(x @ layer.forget.weight.T + layer.step_bias)
    assert_close("log α", layer.log_decay(x), -speed * step)
    assert layer.bfloat16().log_decay(x.bfloat16()).dtype == torch.float32


def test_it_starts_as_published():
    with seeded(0):
        layer = GatedDeltaNet(4000, head_size=1, heads=3000, value_expansion=1, conv=0, gate=False)
    step = F.softplus(layer.step_bias.detach()).log10()
    assert (step.min().item(), step.max().item()) == pytest.approx((-3, -1), abs=5e-3)
    assert step.mean().item() == pytest.approx(-2, abs=0.05)
    speed = layer.log_speed.detach().exp()
    assert (speed.min().item(), speed.mean().item(), speed.max().item()) == pytest.approx((0, 8, 16), abs=0.3)


def test_heads_have_the_published_size_and_share_of_the_width():
    with torch.device("meta"):
        assert GatedDeltaNet(2048).memory_shape == (6, 256, 512)
        assert GatedDeltaNet(256).memory_shape == (1, 256, 512)
        assert GatedDeltaNet(192, head_size=32).memory_shape == (4, 32, 64)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"head_size": 4}, "GatedDeltaNet: head_size is 4; it must divide the width, 6"),
        ({"heads": 0}, "GatedDeltaNet: heads is 0; it must be at least 1"),
        ({"value_expansion": 0}, "GatedDeltaNet: value_expansion is 0; it must be at least 1"),
        ({"conv": -1}, "GatedDeltaNet: conv is -1; it must be 0, for none, or a number of taps"),
    ],
)
def test_wrong_options_name_the_value(options, said):
    with pytest.raises(UsageError, match=said):
        GatedDeltaNet(6, **options)
    with pytest.raises(UsageError, match="GatedDeltaNet: width is 0"):
        GatedDeltaNet(0, **options)
