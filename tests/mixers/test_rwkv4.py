"""RWKV-4's time mixing: the paper's equations term by term, and transformers' layer with copied weights."""

import math

import pytest
import torch
from transformers.models.rwkv.modeling_rwkv import RwkvConfig, RwkvSelfAttention

from statewise.core.random import seeded
from statewise.mixers.rwkv4 import RWKV4
from statewise.testing import MIXER_LAWS, assert_close


def layer_of(width=6, dtype=torch.float64, **options):
    """A layer whose keys and gates say something: the authors' start at zero."""
    with seeded(0):
        layer = RWKV4(width, **options)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
    return layer.to(dtype)


def inputs(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("expansion", [1, 2])
def test_outputs_are_the_papers_sums(expansion):
    layer, x = layer_of(expansion=expansion), inputs(2, 12, 6)
    before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)

    def shifted(share):
        return share * x + (1 - share) * before

    k = shifted(layer.shift_key) @ layer.key.weight.T
    v = shifted(layer.shift_value) @ layer.value.weight.T
    r = shifted(layer.shift_receptance) @ layer.receptance.weight.T
    w, u = -layer.log_decay.exp(), layer.bonus
    expected = torch.zeros(2, 12, 6, dtype=torch.float64)
    for t in range(12):
        above, below = (u + k[:, t]).exp() * v[:, t], (u + k[:, t]).exp()
        for i in range(t):
            weight = ((t - 1 - i) * w + k[:, i]).exp()
            above, below = above + weight * v[:, i], below + weight
        expected[:, t] = (r[:, t].sigmoid() * above / below) @ layer.output.weight.T
    assert_close("outputs", layer(x)[0], expected)


def test_a_layer_is_that_of_transformers():
    ours, x = layer_of(8, torch.float32, expansion=2), inputs(2, 20, 8, dtype=torch.float32).requires_grad_()
    theirs = RwkvSelfAttention(RwkvConfig(hidden_size=8, attention_hidden_size=16, num_hidden_layers=1))
    copied = {
        "time_decay": ours.log_decay,
        "time_first": ours.bonus,
        "time_mix_key": ours.shift_key.view(1, 1, -1),
        "time_mix_value": ours.shift_value.view(1, 1, -1),
        "time_mix_receptance": ours.shift_receptance.view(1, 1, -1),
        **{f"{name}.weight": getattr(ours, name).weight for name in ("key", "value", "receptance", "output")},
    }
    theirs.load_state_dict(copied)
    carried = [torch.zeros(2, size, 1) for size in (8, 8, 16, 16, 16)]
    carried[-1] -= 1e30
    with torch.no_grad():
        expected, (_, last, *sums) = theirs(x, carried, use_cache=True)
    y, state = ours(x)
    assert_close("outputs", y, expected)
    for name, mine, other in zip(state._fields, state, (last, *sums), strict=True):
        assert_close(name, mine, other[..., 0])

    cotangent = inputs(2, 20, 8, dtype=torch.float32)
    grads = [torch.autograd.grad((each(x)[0] * cotangent).sum(), x)[0] for each in (ours, theirs)]
    assert_close("gradient", *grads)


@pytest.mark.parametrize("law", sorted(set(MIXER_LAWS) - {"bfloat16_is_near_float32", "autocast_is_near_float32"}))
def test_laws_hold_where_keys_say_something(law):
    MIXER_LAWS[law](layer_of())
    MIXER_LAWS[law](layer_of(expansion=2, dtype=torch.float32))


@pytest.mark.parametrize(("layer", "layers"), [(0, 1), (0, 4), (2, 4), (3, 4)])
def test_initial_values_are_the_authors(layer, layers):
    above = layer / (layers - 1) if layers > 1 else 0.0
    below = 1 - layer / layers
    made = RWKV4(6, layer=layer, layers=layers)
    for i in range(6):
        assert made.shift_key[i].item() == pytest.approx((i / 6) ** below)
        assert made.shift_value[i].item() == pytest.approx((i / 6) ** below + 0.3 * above)
        assert made.shift_receptance[i].item() == pytest.approx((i / 6) ** (0.5 * below))
        assert made.log_decay[i].item() == pytest.approx(-5 + 8 * (i / 5) ** (0.7 + 1.3 * above), abs=1e-6)
        assert made.bonus[i].item() == pytest.approx(math.log(0.3) + 0.5 * ((i + 1) % 3 - 1))
    assert not made.key.weight.any()
    assert not made.receptance.weight.any()
    assert_close("orthogonal", made.value.weight @ made.value.weight.T, torch.eye(6))
    assert bool(made.output.weight.any())


def test_half_precision_keeps_sums_in_float32():
    layer, x = layer_of(32), inputs(2, 40, 32)
    expected, _ = layer(x)
    half = layer.to(torch.bfloat16)
    y, state = half(x.bfloat16())
    assert y.dtype == state.last.dtype == torch.bfloat16
    assert {part.dtype for part in state[1:]} == {torch.float32}
    assert_close("outputs", y, expected)
    assert {part.dtype for part in half.initial_state(1)[1:]} == {torch.float32}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expansion": 0}, "RWKV4: expansion is 0; it must be at least 1"),
        ({"layer": 2, "layers": 2}, "RWKV4: layer is 2 of 2; it must be at least 0 and below layers"),
    ],
)
def test_wrong_options_name_the_value(options, message):
    with pytest.raises(ValueError, match=message):
        RWKV4(4, **options)
