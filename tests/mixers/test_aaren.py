"""Aaren against the softmax over each prefix in float64."""

import pytest
import torch

from statewise.core.random import seeded
from statewise.mixers.aaren import Aaren
from statewise.mixers.attention import Attention
from statewise.ops import SoftmaxState
from statewise.testing import assert_close, check_mixer


@pytest.fixture
def x():
    return torch.randn(2, 40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def build(**options):
    with seeded(0):
        return Aaren(6, **options).double()


def over_prefixes(layer, x):
    """Outputs, and scores (B, T, H): for every t, a softmax over the keys of tokens 0 to t."""
    size = layer.head_size
    query = layer.query_key_value(layer.query)[:6].unflatten(0, (-1, size))
    _, key, value = layer.query_key_value(x).unflatten(-1, (3, -1, size)).unbind(2)
    scores = torch.einsum("hd,bthd->bth", query, key) / size**0.5
    outputs = [
        torch.einsum("bsh,bshd->bhd", scores[:, : t + 1].softmax(1), value[:, : t + 1]) for t in range(x.shape[1])
    ]
    return layer.output(torch.stack(outputs, 1).flatten(2)), scores


@pytest.mark.parametrize("scale", [1.0, 3e4])
@pytest.mark.parametrize("head_size", [None, 2, 1])
def test_outputs_are_a_softmax_over_each_prefix(x, head_size, scale):
    layer = build(head_size=head_size)
    with torch.no_grad():
        layer.query.mul_(scale)
    x.requires_grad_()
    y, _ = layer(x)
    expected, scores = over_prefixes(layer, x)
    assert scores.abs().max() > (1e4 if scale > 1 else 0)
    assert_close("outputs", y, expected)
    inputs = [x, layer.query, layer.query_key_value.weight]
    grads, expected_grads = (torch.autograd.grad(each.square().sum(), inputs) for each in (y, expected))
    for mine, other in zip(grads, expected_grads, strict=True):
        assert_close("gradient", mine, other)


def test_steps_at_large_scores_are_the_softmax_too(x):
    layer = build(head_size=3)
    with torch.no_grad():
        layer.query.mul_(3e4)
        state = layer.initial_state(2)
        for t, expected in enumerate(over_prefixes(layer, x)[0].unbind(1)):
            y, state = layer.step(x[:, t], state)
            assert_close(f"step {t}", y, expected)


def test_state_is_the_sums_relative_to_the_largest_score(x):
    layer = build(head_size=3)
    with torch.no_grad():
        _, scores = over_prefixes(layer, x)
        _, state = layer(x)
    assert_close("largest", state.largest, scores.amax(1))
    assert_close("denominator", state.denominator, (scores - scores.amax(1, keepdim=True)).exp().sum(1))
    assert state.numerator.shape == (2, 6)


def test_the_state_before_any_token_weighs_nothing():
    state = build(head_size=2).initial_state(4)
    assert bool((state.largest == -torch.inf).all())
    assert not state.denominator.any()
    assert not state.numerator.any()
    assert [part.shape for part in state] == [(4, 3), (4, 3), (4, 6)]
    assert {part.dtype for part in Aaren(6).bfloat16().initial_state(4)} == {torch.float32}


def test_a_state_of_minus_infinity_gets_a_finite_gradient(x):
    layer = build(head_size=2)
    state = SoftmaxState(*(part.requires_grad_() for part in layer.initial_state(2)))
    for each in (layer(x, state)[0], layer.step(x[:, 0], state)[0]):
        grads = torch.autograd.grad(each.square().sum(), state, allow_unused=True, materialize_grads=True)
        assert not any(bool(grad.any()) for grad in grads)


@pytest.mark.parametrize("options", [{}, {"head_size": 2}], ids=str)
def test_laws_hold(options):
    check_mixer(build(**options))


def test_parameters_are_attentions_and_one_vector():
    counts = [sum(parameter.numel() for parameter in mixer.parameters()) for mixer in (Aaren(32), Attention(32))]
    assert counts[0] == counts[1] + 32


def test_bfloat16_keeps_scores_and_sums_in_float32(x):
    with seeded(0), torch.no_grad():
        layer = Aaren(32).bfloat16()
        layer.query.mul_(30)
    inputs = torch.randn(2, 2000, 32, generator=torch.Generator().manual_seed(0)).bfloat16()
    y, state = layer(inputs)
    y.float().sum().backward()
    wide = Aaren(32).double()
    wide.load_state_dict(layer.state_dict())
    expected, expected_state = wide(inputs.double())
    assert {part.dtype for part in state} == {torch.float32}
    assert_close("outputs", y, expected)
    assert_close("largest score", state.largest, expected_state.largest)
    assert all(bool(parameter.grad.isfinite().all()) for parameter in layer.parameters())


def test_autocast_leaves_scores_as_they_are(x):
    layer, x = build(head_size=2).float(), x.float()
    expected, expected_state = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = layer(x)
        layer.step(x[:, 0], state)
    assert_close("outputs", y, expected, dtype=torch.bfloat16)
    assert_close("largest score", state.largest, expected_state.largest)


def test_wrong_options_name_the_value():
    with pytest.raises(ValueError, match="Aaren: head_size is 4; it must divide the width, 6"):
        Aaren(6, head_size=4)
