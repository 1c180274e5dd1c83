"""Linear attention as a gated LRU: the same outputs, for every form and any maps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from statewise.constructions.gated_attention import FORMS, to_gated_lru
from statewise.core import UsageError
from statewise.mixers import GLA, LinearAttention, Retention
from statewise.testing import assert_close


def attention(width, head_size, *, seed=0, rank=None):
    """A layer in float64 whose maps have a rank of at most `rank`."""
    torch.manual_seed(seed)
    layer = LinearAttention(width, head_size=head_size).double()
    if rank is not None:
        for linear in (layer.query_key_value, layer.output):
            left, sizes, right = torch.linalg.svd(linear.weight.detach(), full_matrices=False)
            linear.weight = nn.Parameter(left[:, :rank] * sizes[:rank] @ right[:rank])
    return layer


def inputs(width, length=12):
    return torch.randn(2, length, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@settings(max_examples=40, deadline=None)
@given(
    heads=st.integers(1, 3),
    head_size=st.integers(1, 4),
    rank=st.one_of(st.none(), st.integers(0, 2)),
    form=st.sampled_from(sorted(FORMS)),
    seed=st.integers(0, 1000),
)
def test_any_maps_give_the_same_outputs(heads, head_size, rank, form, seed):
    layer = attention(heads * head_size, head_size, seed=seed, rank=rank)
    x = inputs(layer.width)
    expected, got = layer(x)[0], to_gated_lru(layer, form=form)(x)[0]
    assert (got - expected).abs().max() <= 1e-10 * expected.abs().max()


@pytest.mark.parametrize("form", FORMS)
def test_it_also_does_step_by_step_and_after_resets(form):
    layer = attention(4, 2)
    gated, x = to_gated_lru(layer, form=form), inputs(4)
    reset = torch.zeros(2, 12, dtype=torch.bool)
    reset[0, 5] = reset[1, 9] = True
    assert_close("resets", gated(x, reset=reset)[0], layer(x, reset=reset)[0])
    state, outputs = gated.initial_state(2), []
    for token in x.unbind(1):
        y, state = gated.step(token, state)
        outputs.append(y)
    assert_close("steps", torch.stack(outputs, 1), layer(x)[0])


@pytest.mark.parametrize(("heads", "size"), [(1, 4), (2, 3), (3, 2), (4, 1)])
def test_units_are_counted_as_claimed(heads, size):
    width = heads * size
    layer = attention(width, size)
    units = {form: to_gated_lru(layer, form=form).units for form in FORMS}
    pairs = width * (width + 1) // 2
    assert units["dense"] == heads * size**2 + heads * size
    assert units["side"] == heads * size**2
    assert (units["compact"], units["compact-side"]) == (pairs + width, pairs)
    assert (units["compact"] < units["dense"]) == (heads == 1)


@pytest.mark.parametrize("form", FORMS)
def test_decays_are_exactly_0_and_1_and_no_query_waits_on_the_side(form):
    decay = to_gated_lru(attention(6, 3), form=form).decay
    passing = 0 if "side" in form else 6
    assert int((decay == 0).sum()) == passing
    assert int((decay == 1).sum()) == len(decay) - passing


@pytest.mark.parametrize("form", FORMS)
def test_one_unit_less_is_another_function(form):
    layer, x = attention(3, 3), inputs(3)
    for unit in range(to_gated_lru(layer, form=form).units):
        gated = to_gated_lru(layer, form=form)
        with torch.no_grad():
            gated.write.weight[unit] = 0
        assert not torch.allclose(gated(x)[0], layer(x)[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_biases_are_taken_along(form):
    layer, x = attention(4, 2), inputs(4)
    for name in ("query_key_value", "output"):
        unbiased = getattr(layer, name)
        biased = nn.Linear(4, len(unbiased.weight)).double()
        setattr(layer, name, biased)
    assert_close("outputs", to_gated_lru(layer, form=form)(x)[0], layer(x)[0])


def fading(layer, x, decay):
    """Linear attention whose heads fade, by its double sum."""
    query, key, value = layer.query_key_value(x).unflatten(-1, (3, -1, layer.head_size)).unbind(-3)
    places = torch.arange(x.shape[1])
    ages = (places[:, None] - places).clamp(min=0)
    weights = (torch.tensor(decay).double()[:, None, None] ** ages).tril()
    answers = torch.einsum("bthk,bshk,hts,bshv->bthv", query, key, weights, value)
    return layer.output(answers.flatten(-2))


@pytest.mark.parametrize("form", ["dense", "side"])
def test_heads_fade_at_the_rates_of_retention(form):
    layer, x = attention(6, 2), inputs(6)
    decay = [1 - 2.0 ** (-5 - head) for head in range(3)]
    assert_close("outputs", to_gated_lru(layer, form=form, decay=decay)(x)[0], fading(layer, x, decay))


def test_the_compact_memory_fades_at_one_rate():
    layer, x = attention(6, 2), inputs(6)
    gated = to_gated_lru(layer, form="compact", decay=[0.75] * 3)
    assert_close("outputs", gated(x)[0], fading(layer, x, [0.75] * 3))
    with pytest.raises(
        UsageError, match=r"decay is \[0.5, 0.75, 1.0\] and form is compact, whose heads share one memory"
    ):
        to_gated_lru(layer, form="compact", decay=[0.5, 0.75, 1])


def test_it_keeps_precision_and_mode():
    layer = LinearAttention(4).eval()
    gated = to_gated_lru(layer)
    assert {parameter.dtype for parameter in gated.parameters()} == {torch.float32}
    assert not gated.training
    assert to_gated_lru(layer.train()).training


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (LinearAttention(4, feature_map="elu"), {}, "the layer has feature_map='elu' and normalise=False; only"),
        (LinearAttention(4, feature_map="relu", normalise=True), {}, "feature_map='relu' and normalise=True; only"),
        (Retention(4), {}, "the layer is a Retention, whose rotation, norm of each head and swish gate cannot be"),
        (GLA(4), {}, "the layer is a GLA; only a LinearAttention with feature_map='identity' and normalise=False"),
        (LinearAttention(4), {"form": "dence"}, "unknown form of linear attention 'dence': did you mean"),
        (LinearAttention(4), {"decay": [1, 1]}, r"decay is \[1.0, 1.0\]; it must be 1 numbers in \[0, 1\], one for"),
        (LinearAttention(4), {"decay": [1.5]}, r"decay is \[1.5\]; it must be 1 numbers in \[0, 1\]"),
    ],
)
def test_what_is_not_a_product_of_linear_maps_is_refused_in_one_line(layer, options, message):
    with pytest.raises(UsageError, match=message) as raised:
        to_gated_lru(layer, **options)
    assert "\n" not in str(raised.value)
