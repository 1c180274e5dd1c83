"""Feed-forwards, norms, and the states that RWKV's carry through a model."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers.models.rwkv.modeling_rwkv import RwkvConfig, RwkvFeedForward

from statewise.core import state_bits
from statewise.core.random import seeded
from statewise.core.state import leaves
from statewise.mixers import GRU
from statewise.models import Block, LanguageModel, VectorModel
from statewise.models.feed_forward import FEED_FORWARDS, RWKV4ChannelMix, RWKV7ChannelMix
from statewise.testing import MIXER_LAWS, assert_close

KINDS = ["gelu", "relu", "geglu", "geglu-tanh", "swiglu", "rwkv4", "rwkv7"]


def noisy(module):
    """The module with weights that all say something: the authors' gates start at zero."""
    with seeded(0), torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return module


def build(**settings):
    with seeded(0):
        model = LanguageModel(**{"vocabulary": 11, "width": 6, "stack": "mingru*2", **settings})
    return noisy(model).double()


def inputs(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def tokens(*shape, seed=0):
    return torch.randint(0, 11, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("mix", [RWKV4ChannelMix, RWKV7ChannelMix])
@pytest.mark.parametrize("law", MIXER_LAWS)
def test_channel_mixing_keeps_the_laws_of_mixers(law, mix):
    with seeded(0):
        four, two = mix(6), mix(6, 2)
    MIXER_LAWS[law](noisy(four).double())
    MIXER_LAWS[law](noisy(two))


def test_rwkv4s_channel_mixing_is_that_of_transformers():
    ours, x = noisy(RWKV4ChannelMix(8, 2)), inputs(2, 20, 8, dtype=torch.float32)
    theirs = RwkvFeedForward(RwkvConfig(hidden_size=8, intermediate_size=16))
    copied = {
        "time_mix_key": ours.shift_key.view(1, 1, -1),
        "time_mix_receptance": ours.shift_receptance.view(1, 1, -1),
        "key.weight": ours.key.weight,
        "receptance.weight": ours.receptance.weight,
        "value.weight": ours.output.weight,
    }
    theirs.load_state_dict(copied)
    assert_close("outputs", ours(x)[0], theirs(x)[0])


def test_rwkv7s_channel_mixing_is_its_formula():
    layer, x = noisy(RWKV7ChannelMix(6)).double(), inputs(2, 9, 6)
    before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)
    inner = (x + layer.shift_key * (before - x)) @ layer.key.weight.T
    assert_close("outputs", layer(x)[0], inner.clamp(min=0) ** 2 @ layer.output.weight.T)


@pytest.mark.parametrize("layer", [0, 2])
def test_channel_mixing_starts_as_the_authors(layer):
    below = 1 - layer / 3
    four, seven = RWKV4ChannelMix(6, layer=layer, layers=3), RWKV7ChannelMix(6, layer=layer, layers=3)
    for i in range(6):
        assert four.shift_key[i].item() == four.shift_receptance[i].item() == pytest.approx((i / 6) ** below)
        assert seven.shift_key[i].item() == pytest.approx(1 - (i / 6) ** below**4, abs=1e-6)
    assert not four.receptance.weight.any()
    assert_close("orthogonal", four.key.weight.T @ four.key.weight, 4 * torch.eye(6))
    assert seven.key.weight.abs().max().item() == pytest.approx(0.5 / 6**0.5, rel=0.1)
    with pytest.raises(ValueError, match="RWKV7ChannelMix: layer is 3 of 3"):
        RWKV7ChannelMix(6, layer=3, layers=3)


def test_geglu_gates_one_half_by_the_gelu_of_the_other():
    block = Block(GRU(6), feed_forward=2, conv=0, feed_forward_kind="geglu", norm="none").double()
    x = inputs(2, 9, 6)
    y = x + block.mixer(x)[0]
    widen, narrow = block.feed_forward.gate_value, block.feed_forward.output
    assert widen.weight.shape == (24, 6)
    gate, value = F.linear(y, widen.weight[:12], widen.bias[:12]), F.linear(y, widen.weight[12:], widen.bias[12:])
    assert_close("outputs", block(x, block.initial_state(2))[0], y + narrow(F.gelu(gate) * value))


GATES = {
    "geglu-tanh": lambda gate: F.gelu(gate, approximate="tanh"),
    "swiglu": F.silu,
}


@pytest.mark.parametrize("kind", GATES)
def test_gates_of_other_models_are_theirs(kind):
    made, x = noisy(FEED_FORWARDS[kind](6, 2)).double(), inputs(2, 9, 6)
    gate, value = made.gate_value(x).chunk(2, -1)
    assert_close("outputs", made(x), made.output(GATES[kind](gate) * value))
    assert (made.output.bias is None) == (kind == "swiglu")


@pytest.mark.parametrize("kind", FEED_FORWARDS)
def test_units_are_the_inner_width_in_place_of_the_multiple(kind):
    model = LanguageModel(vocabulary=7, width=6, feed_forward_kind=kind, feed_forward_units=10)
    inner = {module.in_features for name, module in model.named_modules() if name.endswith(("forward.2", "rd.output"))}
    assert inner == {10}
    with pytest.raises(ValueError, match="feed_forward_units is 0; it must be at least 1"):
        LanguageModel(vocabulary=7, feed_forward_units=0)


@pytest.mark.parametrize("norm", ["rms", "layer"])
def test_epsilon_is_that_of_every_norm(norm):
    model = LanguageModel(vocabulary=7, width=6, norm=norm, norm_epsilon=0.25, embedding_norm=True)
    (block,) = model.blocks
    norms = [model.embedding_norm, block.mixer_norm, block.feed_forward_norm, model.norm]
    assert [each.eps for each in norms] == [0.25] * 4
    with pytest.raises(ValueError, match=r"norm_epsilon is 0.0; it must be above 0, or None"):
        LanguageModel(vocabulary=7, norm_epsilon=0.0)


def test_logits_are_capped_softly():
    plain, capped = build(), build(logits_cap=0.5)
    read = tokens(2, 9)
    assert_close("logits", capped(read)[0], 0.5 * (plain(read)[0] / 0.5).tanh())
    assert_close("step", capped.step(read[:, 0], capped.initial_state(2))[0], capped(read)[0][:, 0])
    with pytest.raises(ValueError, match=r"logits_cap is 1.0, and tokens are vectors"):
        VectorModel(channels=(3, 3), logits_cap=1.0)


@pytest.mark.parametrize("norm", ["rms", "layer", "none"])
def test_one_norm_stands_before_every_part_and_the_head(norm):
    model = build(stack="gru", norm=norm, embedding_norm=True, feed_forward=2)
    (block,) = model.blocks

    def normed(x, module):
        if norm == "none":
            return x
        centred = x if norm == "rms" else x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + (1e-6 if norm == "rms" else 1e-5)).sqrt()
        return scaled * module.weight + (0 if norm == "rms" else module.bias)

    read = tokens(2, 9)
    x = normed(model.embedding(read), model.embedding_norm)
    x = x + block.mixer(normed(x, block.mixer_norm))[0]
    x = x + block.feed_forward(normed(x, block.feed_forward_norm))
    assert_close("logits", model(read)[0], model.head(normed(x, model.norm)))


@pytest.mark.parametrize("kind", KINDS)
def test_forward_is_step_by_step_and_can_be_cut(kind):
    model = build(feed_forward_kind=kind, norm="layer", embedding_norm=True, conv=2)
    read = tokens(3, 14)
    logits, final = model(read)
    left, state = model(read[:, :5])
    assert_close("left", left, logits[:, :5])
    for t in range(5, 14):
        step, state = model.step(read[:, t], state)
        assert_close(f"step {t}", step, logits[:, t])
    for one, other in zip(leaves(state), leaves(final), strict=True):
        assert_close("final", one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_do_not_meet(kind):
    model = build(feed_forward_kind=kind)
    first, second = tokens(1, 8, seed=1), tokens(1, 5, seed=2)
    reset = torch.zeros(1, 13, dtype=torch.bool)
    reset[0, 8] = True
    logits, _ = model(torch.cat([first, second], 1), reset=reset)
    assert_close("logits", logits, torch.cat([model(first)[0], model(second)[0]], 1))


@pytest.mark.parametrize(("kind", "carried"), [("gelu", 0), ("relu", 0), ("geglu", 0), ("rwkv4", 6), ("rwkv7", 6)])
def test_channel_mixing_carries_one_token_for_each_block(kind, carried):
    model = LanguageModel(vocabulary=11, width=6, stack="mingru*2", feed_forward_kind=kind)
    assert state_bits(model(tokens(2, 9))[1]) == 2 * 32 * (6 + carried)
    assert state_bits(model.initial_state(1)) == 2 * 32 * (6 + carried)
    without = LanguageModel(vocabulary=11, width=6, stack="mingru*2", feed_forward_kind=kind, feed_forward=0)
    assert state_bits(without.initial_state(1)) == 2 * 32 * 6


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_map_of_every_kind_starts_smaller_by_the_root_of_the_branches(kind):
    with seeded(0):
        model = LanguageModel(vocabulary=7, width=64, depth=4, feed_forward_kind=kind)
    for block in model.blocks:
        last = block.feed_forward[2] if kind in ("gelu", "relu") else block.feed_forward.output
        usual = 1 / (3 * last.in_features) ** 0.5
        assert last.weight.std().item() == pytest.approx(usual / 8**0.5, rel=0.1)


def test_the_place_of_a_block_reaches_its_feed_forward():
    model = LanguageModel(vocabulary=7, width=6, depth=3, feed_forward_kind="rwkv4")
    halves = [block.feed_forward.shift_key[3].item() for block in model.blocks]
    assert halves == pytest.approx([0.5**below for below in (1, 2 / 3, 1 / 3)])


def test_defaults_are_the_model_of_before():
    with seeded(0):
        plain = LanguageModel(vocabulary=11, width=6)
    (block,) = plain.blocks
    norms = (block.mixer_norm, block.feed_forward_norm, plain.norm)
    assert all(isinstance(norm, nn.RMSNorm) and norm.eps == 1e-6 for norm in norms)
    assert isinstance(plain.embedding_norm, nn.Identity)
    names = [name for name, _ in plain.named_parameters() if not name.startswith("blocks.0.mixer.")]
    assert names == [
        "embedding.weight",
        "blocks.0.mixer_norm.weight",
        "blocks.0.feed_forward_norm.weight",
        "blocks.0.feed_forward.0.weight",
        "blocks.0.feed_forward.0.bias",
        "blocks.0.feed_forward.2.weight",
        "blocks.0.feed_forward.2.bias",
        "norm.weight",
        "head.weight",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm": "batch"}, "unknown norm 'batch': there are layer, none, rms"),
        ({"feed_forward_kind": "glu"}, "unknown feed-forward 'glu': did you mean gelu or geglu"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_relu_stands_in_the_place_of_gelu():
    feed_forward = FEED_FORWARDS["relu"](6, 2)
    x = inputs(3, 6, dtype=torch.float32)
    assert_close("relu", feed_forward(x), feed_forward[2](feed_forward[0](x).clamp(min=0)))
