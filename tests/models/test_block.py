"""The block against its formula, and how large it starts."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from statewise.core.random import seeded
from statewise.mixers import GRU, ShortConv
from statewise.models import Block, LanguageModel
from statewise.models.block import NORMS
from statewise.testing import assert_close


def normed(x, norm):
    """RMSNorm as its paper has it."""
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * norm.weight


@pytest.mark.parametrize("conv", [0, 3])
@pytest.mark.parametrize("feed_forward", [0, 2])
def test_a_block_is_a_mixer_and_a_feed_forward_behind_norms_each_on_a_residual(feed_forward, conv):
    block = Block(GRU(6), feed_forward=feed_forward, conv=conv).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, 9, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inner = normed(x, block.mixer_norm)
    if conv:
        assert isinstance(block.conv, ShortConv)
        inner, _ = block.conv(inner)
    expected = x + block.mixer(inner)[0]
    if feed_forward:
        widen, _, narrow = block.feed_forward
        assert widen.weight.shape == (12, 6)
        expected = expected + narrow(F.gelu(widen(normed(expected, block.feed_forward_norm))))
    assert_close("outputs", block(x, block.initial_state(2))[0], expected)


def test_dropout_is_on_what_the_branches_add_and_in_training_alone():
    with seeded(0):
        block = Block(GRU(6), feed_forward=2, conv=3, dropout=0.5)
        x = torch.randn(2, 40, 6)
    state = block.initial_state(2)
    whole, added = block.eval()(x, state)[0], {}
    block.mixer.register_forward_hook(lambda module, given, outputs: added.update(mixer=outputs[0]))
    block.feed_forward.register_forward_hook(lambda module, given, y: added.update(feed_forward=y))
    with seeded(0):
        y, _ = block.train()(x, state)
    with seeded(0):
        expected = x + F.dropout(added["mixer"], 0.5) + F.dropout(added["feed_forward"], 0.5)
    assert_close("outputs", y, expected)
    assert not torch.equal(y, whole)


@pytest.mark.parametrize(("feed_forward", "branches"), [(4, 8), (0, 4)])
def test_the_last_map_of_each_of_n_branches_starts_smaller_by_the_root_of_n(feed_forward, branches):
    with seeded(0):
        model = LanguageModel(
            vocabulary=7, width=64, stack="mingru+attention", depth=2, feed_forward=feed_forward, conv=2
        )
    for block in model.blocks:
        outputs = [block.mixer.output, *([block.feed_forward[2]] if feed_forward else [])]
        for layer in outputs:
            usual = 1 / (3 * layer.in_features) ** 0.5
            assert layer.weight.std().item() == pytest.approx(usual / branches**0.5, rel=0.1)
        others = [block.feed_forward[0]] if feed_forward else []
        for layer in others:
            assert layer.weight.std().item() == pytest.approx(1 / (3 * layer.in_features) ** 0.5, rel=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_token_without_gradients_is_normalised_as_one_with_them(dtype):
    norm = NORMS["rms"](6, None).to(dtype)
    x = (torch.randn(3, 6, generator=torch.Generator().manual_seed(0)) * 4).to(dtype)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2, generator=torch.Generator().manual_seed(1))
        without = norm(x)
    assert_close("norm", without, norm(x), dtype=dtype)
    assert_close("in parallel", without, norm(x[:, None])[:, 0], dtype=dtype)
