"""RWKV-7's time mixing: the paper's equations, token by token and head by head."""

import math

import pytest
import torch

from statewise.core.random import seeded
from statewise.mixers.first_value import FirstValue
from statewise.mixers.rwkv7 import RWKV7
from statewise.testing import MIXER_LAWS, assert_close


def layer_of(width=6, dtype=torch.float64, **options):
    """A layer all of whose parts say something: the authors' low ranks start at zero."""
    with seeded(0):
        layer = RWKV7(width, **options)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
    return layer.to(dtype)


def random(*shape, seed=3):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def below_it(value):
    """A FirstValue as another layer left it."""
    shared = FirstValue()
    shared.below(torch.nn.Identity(), value)
    return shared


def by_hand(layer, x, first=None):
    """Outputs for one sequence x (T, D), the values (T, D) that it would share, and the last state (H, d, d)."""
    weights, size = {name: each.detach() for name, each in layer.state_dict().items()}, layer.head_size
    heads = x.shape[1] // size
    before, outputs, values = torch.zeros_like(x[0]), [], []
    state = torch.zeros(heads, size, size, dtype=x.dtype)

    def low_rank(name, y, f=lambda inner: inner):
        return weights[f"{name}.up.weight"] @ f(weights[f"{name}.down.weight"] @ y)

    for t, token in enumerate(x):
        r, w, k, v, a, g = (token + share * (before - token) for share in weights["shift"])
        before = token
        receptance, key = weights["receptance.weight"] @ r, weights["key.weight"] @ k
        value = weights["value.weight"] @ v
        values.append(value)
        decay = (-math.exp(-0.5) * (weights["decay.up.bias"] + low_rank("decay", w, torch.tanh)).sigmoid()).exp()
        rate = (weights["rate.up.bias"] + low_rank("rate", a)).sigmoid()
        if first is not None:
            share = (weights["value_share.up.bias"] + low_rank("value_share", v)).sigmoid()
            value = value + share * (first[t] - value)
        gate = low_rank("gate", g, torch.sigmoid)
        kappa = key * weights["recall_scale"]
        key = key * (1 + (rate - 1) * weights["key_share"])
        read = torch.zeros_like(token)
        for h in range(heads):
            here = slice(h * size, (h + 1) * size)
            toward = kappa[here] / kappa[here].norm()
            recalled = state[h].T @ toward
            state[h] = decay[here, None] * state[h] - torch.outer(toward * rate[here], recalled)
            state[h] += torch.outer(key[here], value[here])
            answer = state[h].T @ receptance[here]
            centred = answer - answer.mean()
            normed = centred / (centred.square().mean() + 64e-5).sqrt()
            agreement = (receptance[here] * key[here] * weights["bonus"][here]).sum()
            read[here] = normed * weights["norm_weight"][here] + weights["norm_bias"][here] + agreement * value[here]
        outputs.append(weights["output.weight"] @ (gate * read))
    return torch.stack(outputs), torch.stack(values), state


@pytest.mark.parametrize("head_size", [None, 2])
@pytest.mark.parametrize("first", [False, True])
def test_outputs_are_the_papers_token_by_token(first, head_size):
    layer, x, below = layer_of(head_size=head_size), random(2, 20, 6), random(2, 20, 6, seed=4)
    y, state = layer(x, first_value=below_it(below) if first else None)
    for row in range(2):
        expected, _, matrix = by_hand(layer, x[row], below[row] if first else None)
        assert_close("outputs", y[row], expected)
        assert_close("state", state.matrix[row], matrix)


def test_the_first_layer_of_a_pass_hands_its_values_up():
    lower, upper, x = layer_of(), layer_of(layer=1, layers=2), random(1, 9, 6)
    shared = FirstValue()
    y, _ = lower(x, first_value=shared)
    z, _ = upper(y, first_value=shared)
    expected, values, _ = by_hand(lower, x[0])
    assert_close("lower", y[0], expected)
    assert_close("upper", z[0], by_hand(upper, y[0].detach(), values)[0])


def test_a_first_layer_that_runs_again_is_still_the_first():
    layer, shared, x = layer_of(), FirstValue(), random(1, 9, 6)
    y, _ = layer(x, first_value=shared)
    again, _ = layer(x, first_value=shared)
    again.sum().backward()
    assert torch.equal(again, y)
    assert layer.value_share.up.bias.grad is None


def test_values_from_below_reach_steps_and_gradients():
    layer, x, below = layer_of(), random(2, 7, 6), random(2, 7, 6, seed=4).requires_grad_()
    y, final = layer(x, first_value=below_it(below))
    state = layer.initial_state(2)
    for t in range(7):
        step, state = layer.step(x[:, t], state, first_value=below_it(below[:, t]))
        assert_close(f"step {t}", step, y[:, t])
    assert_close("state", state.matrix, final.matrix)
    (grad,) = torch.autograd.grad(y.square().sum(), below)
    assert bool(grad.any(-1).all())
    assert all(weight.grad is None for weight in layer.parameters())
    layer(x)[0].sum().backward()
    assert layer.value_share.up.bias.grad is None


@pytest.mark.parametrize("law", sorted(set(MIXER_LAWS) - {"bfloat16_is_near_float32", "autocast_is_near_float32"}))
def test_laws_hold_where_low_ranks_say_something(law):
    MIXER_LAWS[law](layer_of(head_size=2))
    MIXER_LAWS[law](layer_of(dtype=torch.float32))


@pytest.mark.parametrize(("layer", "layers"), [(0, 1), (0, 4), (2, 4), (3, 4)])
def test_initial_values_are_the_authors(layer, layers):
    above = layer / (layers - 1) if layers > 1 else 0.0
    below = 1 - layer / layers
    made = RWKV7(8, head_size=4, layer=layer, layers=layers)
    for n in range(8):
        ramp, zigzag = n / 7 - 0.5, ((n % 4) - 1.5) / 1.5
        zigzag *= abs(zigzag)
        for share, power in zip(made.shift[:, n].tolist(), (0.2, 0.9, 0.7, 0.7, 0.9, 0.2), strict=True):
            assert share == pytest.approx(1 - (n / 8) ** (power * below), abs=1e-6)
        decay = -6 + 6 * (n / 7) ** (1 + above**0.3) + 0.5 + 2.5 * zigzag
        assert made.decay.up.bias[n].item() == pytest.approx(decay, abs=1e-5)
        assert made.rate.up.bias[n].item() == pytest.approx(-0.19 + 0.3 * zigzag + 0.4 * ramp, abs=1e-6)
        assert made.value_share.up.bias[n].item() == pytest.approx(0.73 - 0.4 * ramp)
        assert made.recall_scale[n].item() == pytest.approx(0.71 - 0.1 * ramp)
    assert made.norm_weight.tolist() == pytest.approx([((1 + layer) / layers) ** 0.7] * 8)
    assert made.key_share.tolist() == pytest.approx([1.02] * 8)
    assert made.bonus.tolist() == pytest.approx([-0.04] * 8)
    assert not made.norm_bias.any()
    for name, bound in (("receptance", 0.5), ("key", 0.05), ("value", 0.5)):
        assert getattr(made, name).weight.abs().max().item() == pytest.approx(bound / 8**0.5, rel=0.15)
    for part in (made.decay, made.rate, made.value_share, made.gate):
        assert not part.down.weight.any()
        assert part.down.weight.shape == (32, 8)
        assert_close("columns", part.up.weight @ part.up.weight.T, 0.01 * 32 / 8 * torch.eye(8))


@pytest.mark.parametrize(
    ("width", "ranks"), [(768, (64, 64, 32, 128)), (64, (32, 32, 32, 32)), (2048, (128, 128, 64, 224))]
)
def test_ranks_grow_with_the_root_of_the_width(width, ranks):
    with torch.device("meta"):
        layer = RWKV7(width)
    assert tuple(part.down.out_features for part in (layer.decay, layer.rate, layer.value_share, layer.gate)) == ranks


def test_half_precision_keeps_its_matrices_in_float32():
    with seeded(0):
        layer = RWKV7(32).double()
    x = random(2, 40, 32)
    expected, _ = layer(x)
    y, state = layer.to(torch.bfloat16)(x.bfloat16())
    assert (y.dtype, state.last.dtype, state.matrix.dtype) == (torch.bfloat16, torch.bfloat16, torch.float32)
    assert_close("outputs", y, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head_size": 3}, "RWKV7: head_size is 3; it must divide the width, 4"),
        ({"layer": -1, "layers": 2}, "RWKV7: layer is -1 of 2; it must be at least 0 and below layers"),
    ],
)
def test_wrong_options_name_the_value(options, message):
    with pytest.raises(ValueError, match=message):
        RWKV7(4, **options)
