"""Attention read off a gated LRU: found where it is, whatever the units look like, else missed by a number."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from statewise.constructions.attention_maps import attention_maps
from statewise.constructions.directions import blank
from statewise.constructions.found_attention import from_gated_lru
from statewise.constructions.gated_attention import FORMS, to_gated_lru
from statewise.constructions.in_context_regression import gated_lru as gradient_step
from statewise.constructions.linear_attention import gated_lru
from statewise.core import UsageError
from statewise.mixers import GRU, GatedLRU, LinearAttention
from statewise.models import VectorModel
from statewise.testing import assert_close


def attention(width, head_size, seed=0):
    torch.manual_seed(seed)
    return LinearAttention(width, head_size=head_size).double()


def distance(form, expected):
    return float((form - expected).norm() / expected.norm())


@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 6), form=st.sampled_from(sorted(FORMS)), seed=st.integers(0, 1000))
def test_one_head_is_found(width, form, seed):
    layer = attention(width, width, seed)
    found = from_gated_lru(to_gated_lru(layer, form=form))
    assert found.residual < 1e-8
    assert found.outside < 1e-12
    assert distance(found.maps.form, attention_maps(layer).form) < 1e-8


@settings(max_examples=12, deadline=None)
@given(shape=st.sampled_from([(4, 2), (6, 3), (6, 2)]), seed=st.integers(0, 40))
def test_several_heads_are_found_together(shape, seed):
    width, size = shape
    layer = attention(width, size, seed)
    found = from_gated_lru(to_gated_lru(layer), heads=width // size)
    assert found.residual < 1e-6
    assert distance(found.maps.form, attention_maps(layer).form) < 1e-6


@pytest.mark.parametrize("seed", [71, 180, 284])
def test_where_one_head_after_another_is_a_dead_end_it_starts_anew(seed):
    assert from_gated_lru(to_gated_lru(attention(4, 2, seed)), heads=2).residual < 1e-8


def test_the_maps_of_one_head_are_found_up_to_a_factor():
    layer = attention(4, 4)
    found, true = from_gated_lru(to_gated_lru(layer, form="compact")).maps, attention_maps(layer)
    factor = (found.scores / true.scores)[0, 0, 0]
    assert_close("scores", found.scores[..., :4, :4], factor * true.scores[..., :4, :4])
    assert_close("values", found.moved[..., :4] * factor, true.moved[..., :4])


def test_one_head_is_no_substitute_for_two():
    gated = to_gated_lru(attention(4, 2))
    assert from_gated_lru(gated, heads=1).residual > 0.1
    assert from_gated_lru(gated, heads=1).outside < 1e-12


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_singular_maps_are_found(rank):
    layer = attention(4, 4)
    with torch.no_grad():
        layer.query_key_value.weight[rank:4] = 0
    gated = to_gated_lru(layer)
    assert from_gated_lru(gated).residual < 1e-10


def disguised(layer, seed=0):
    """The same function by units that are permuted, rescaled and mixed, and by products that were exchanged."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    units, products = layer.units, layer.outputs
    copy = GatedLRU(layer.width, units=2 * units, outputs=products, constant=True).double()
    order, swapped = torch.randperm(2 * units, generator=generator), normal(products) > 0
    factor, share = normal(2 * units), normal(units)
    with torch.no_grad():
        # Every unit twice, read in shares that add up to 1, with reciprocal factors in its two rows.
        copy.decay[:] = layer.decay.repeat(2)[order]
        copy.write.weight[:] = (layer.write.weight.repeat(2, 1) * factor[:, None])[order]
        copy.write_gate.weight[:] = (layer.write_gate.weight.repeat(2, 1) / factor[:, None])[order]
        read = torch.cat([layer.read.weight * share, layer.read.weight * (1 - share)], 1)[:, order]
        gate = torch.cat([layer.read_gate.weight * share, layer.read_gate.weight * (1 - share)], 1)[:, order]
        copy.read.weight[:] = torch.where(swapped[:, None], gate, read)
        copy.read_gate.weight[:] = torch.where(swapped[:, None], read, gate)
        copy.output.weight[:] = layer.output.weight
    return copy


@pytest.mark.parametrize("seed", range(3))
def test_neither_order_nor_scale_nor_copies_of_units_matter(seed):
    layer = to_gated_lru(attention(3, 3), form="compact")
    with torch.no_grad():
        layer.read.weight += 0.1 * torch.randn_like(layer.read.weight)
        layer.decay[0], layer.decay[1] = 0.5, 0.25
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    copy = disguised(layer, seed)
    assert_close("outputs", copy(x)[0], layer(x)[0])
    first, second = from_gated_lru(layer), from_gated_lru(copy)
    assert first.residual > 0.01
    assert second.residual == pytest.approx(first.residual, rel=1e-6)
    assert second.outside == pytest.approx(first.outside, rel=1e-8)
    assert second.other == 2 * first.other == 4


def test_the_residual_grows_with_what_is_added():
    gated = to_gated_lru(attention(4, 4))
    torch.manual_seed(1)
    noise = torch.randn_like(gated.read.weight)
    residuals = []
    for size in (1e-6, 1e-4, 1e-2):
        with torch.no_grad():
            gated.read.weight += size * noise
        residuals.append(from_gated_lru(gated).residual)
        with torch.no_grad():
            gated.read.weight -= size * noise
    assert residuals[1] / residuals[0] == pytest.approx(100, rel=0.1)
    assert residuals[2] / residuals[1] == pytest.approx(100, rel=0.1)


def products_of(first, second, *, decay, weights):
    """A layer on x = (a, b) with the units a², b², ab, ab, whose products are first · second with such weights."""
    layer = GatedLRU(2, units=4, outputs=len(first)).double()
    blank(layer)
    with torch.no_grad():
        layer.decay[:] = decay
        layer.write.weight[:] = torch.tensor([[1, 0], [0, 1], [1, 0], [0, 1]])
        layer.write_gate.weight[:] = torch.tensor([[1, 0], [0, 1], [0, 1], [1, 0]])
        layer.read.weight[range(len(first)), first] = 1
        layer.read_gate.weight[range(len(first)), second] = 1
        layer.output.weight[0] = torch.tensor(weights).double()
    return layer


@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("other", [0.0, 0.25, 1.0])
def test_what_is_not_attention_is_all_outside(decay, other):
    """Products of two quadratic memories, or of one and what is quadratic in this token."""
    decays = torch.tensor([decay, other, decay, other])
    found = from_gated_lru(products_of([0, 2], [1, 3], decay=decays, weights=[1, 1]))
    assert (found.outside, found.residual) == (1, 1)


def test_terms_that_cancel_are_not_counted():
    # a²·b² = ab·ab in one token, but not for sums of them.
    for decay, outside in ((0.0, 0.0), (1.0, 1.0)):
        layer = products_of([0, 2], [1, 3], decay=decay, weights=[1, -1])
        assert from_gated_lru(layer).outside == outside
    # Σab · Σa² − Σa² · Σab, by two equal units that stand for one another.
    for decay in (0.0, 1.0):
        assert from_gated_lru(products_of([2, 0], [0, 3], decay=decay, weights=[1, -1])).outside == 0


def test_decays_near_0_and_1_count_as_these_and_others_do_not():
    gated = to_gated_lru(attention(3, 3))
    with torch.no_grad():
        gated.decay[0], gated.decay[-1] = 0.995, 0.004
    found = from_gated_lru(gated)
    assert found.residual < 1e-10
    assert found.rounding == pytest.approx(0.005)
    assert (found.summing, found.passing, found.other) == (9, 3, 0)
    strict = from_gated_lru(gated, near=0)
    assert strict.residual > 0.1
    assert (strict.summing, strict.passing, strict.other, strict.rounding) == (8, 2, 2, 0)


@pytest.mark.parametrize("form", FORMS)
def test_biases_are_found(form):
    layer = attention(3, 3)
    layer.query_key_value = nn.Linear(3, 9).double()
    found = from_gated_lru(to_gated_lru(layer, form=form))
    assert found.residual < 1e-8
    assert distance(found.maps.form, attention_maps(layer).form) < 1e-8


def test_a_bias_and_the_constants_weight_are_one_number():
    layer = attention(3, 3)
    layer.output = nn.Linear(3, 3).double()
    nn.init.zeros_(layer.output.bias)
    gated = to_gated_lru(layer)
    with torch.no_grad():
        gated.write_gate.bias += 2 * gated.write_gate.weight[:, -1]
        gated.write_gate.weight[:, -1] *= -1
    found = from_gated_lru(gated)
    assert found.residual < 1e-10
    assert distance(found.maps.form, attention_maps(layer).form) < 1e-10
    with torch.no_grad():
        gated.output.bias += 1
    # A number that is added at every token is no attention.
    assert from_gated_lru(gated).outside > 0.1


def test_a_bias_may_be_the_query():
    layer = GatedLRU(2, units=1, outputs=1, bias=True).double()
    blank(layer)
    with torch.no_grad():
        # Σ a² times 3, the bias of the second factor.
        layer.decay[:] = 1
        layer.write.weight[0, 0] = layer.write_gate.weight[0, 0] = layer.read.weight[0, 0] = 1
        layer.read_gate.bias[0], layer.output.weight[0, 0] = 3, 1
    found = from_gated_lru(layer)
    assert found.residual < 1e-12
    assert float(found.maps.form[0, 0, 0, 2]) == pytest.approx(3)


def test_a_constructed_model_is_read_in_channels_of_the_task():
    construction = gated_lru(8, dim=3, form="compact")
    found = from_gated_lru(construction.model)
    query, key, value = construction.task.weights
    scores, moved = key.mT @ query, value
    expected = torch.einsum("ij,kl->ijkl", moved, scores)
    expected = (expected + expected.transpose(1, 2)) / 2
    assert found.residual < 1e-10
    assert distance(found.maps.form[:, :3, :3, :3], expected) < 1e-10


def test_the_gradient_steps_rate_is_read_off():
    step = gradient_step(12)
    form = from_gated_lru(to_bare(step.model)).maps.form
    for channel in range(3):
        assert float(form[channel, 3 + channel, 0, 0]) == pytest.approx(step.task.rate(12) / 2)


def to_bare(model):
    """The layer of a model whose head and embedding only pass channels on, with its last outputs first."""
    mixer = model.blocks[0].mixer
    with torch.no_grad():
        mixer.output.weight.copy_(mixer.output.weight.roll(3, 0))
    return mixer


def test_a_models_residual_path_counts():
    construction = gated_lru(8, dim=3)
    with torch.no_grad():
        construction.model.head.weight[:, :3] = torch.eye(3)
    found = from_gated_lru(construction.model)
    assert found.residual == found.outside > 0.1


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (GatedLRU(2), {"heads": 0}, r"from_gated_lru: heads is 0 and near is 0.01; they must be at least 1, and in"),
        (GatedLRU(2), {"near": 0.5}, r"heads is 1 and near is 0.5"),
        (GRU(2), {}, "from_gated_lru: a GRU was given; it must be a GatedLRU or a VectorModel of one"),
        (
            VectorModel(channels=(2, 2), width=4, stack="gru", feed_forward=0),
            {},
            "the model has stack='gru', norm='rms'; it must be one bare layer: stack='gated-lru', norm='none'",
        ),
        (GatedLRU(64), {}, "inputs have 64 channels and outputs 64, whose polynomial has more than 134217728"),
    ],
)
def test_what_cannot_be_read_is_refused(layer, options, message):
    with pytest.raises(UsageError, match=message) as raised:
        from_gated_lru(layer, **options)
    assert "\n" not in str(raised.value)
