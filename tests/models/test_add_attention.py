"""A trained model with attention on top says what it said, to the bit, and can then learn what it could not."""

import copy

import pytest
import torch
import torch.nn.functional as F

from statewise.core import UsageError
from statewise.core.random import child_seed, seeded
from statewise.mixers import MIXERS
from statewise.models import LanguageModel, VectorModel, load_model, save_model
from statewise.models.add_attention import add_attention
from statewise.models.feed_forward import FEED_FORWARDS
from statewise.tasks import AssociativeRecall
from statewise.training.evaluate import loss_of

TOKENS = torch.randint(0, 11, (3, 12), generator=torch.Generator().manual_seed(0))


def base(**settings):
    with seeded(0):
        return LanguageModel(**{"vocabulary": 11, "width": 12, "stack": "mingru*2", **settings})


@torch.no_grad()
def assert_same_outputs(grown, model, tokens=TOKENS):
    assert torch.equal(grown(tokens)[0], model(tokens)[0])
    state, expected_state = grown.initial_state(len(tokens)), model.initial_state(len(tokens))
    for t in range(tokens.shape[1]):
        logits, state = grown.step(tokens[:, t], state)
        expected, expected_state = model.step(tokens[:, t], expected_state)
        assert torch.equal(logits, expected)


@pytest.mark.parametrize("name", [name for name in MIXERS if name != "attention"])
def test_on_every_mixer_it_says_nothing(name):
    model = base(stack=name)
    grown = add_attention(model)
    assert grown.config.stack == f"{name}+attention"
    assert_same_outputs(grown, model)


@pytest.mark.parametrize(
    "settings",
    [
        *({"feed_forward_kind": kind} for kind in FEED_FORWARDS),
        {"feed_forward": 0},
        {"conv": 4, "norm": "layer", "embedding_norm": True},
        {"norm": "none"},
        {"positions": "learned", "max_length": 12},
        {"positions": "rope"},
        {"stack": "linear-attention", "mixer_settings": ("head_size=4",)},
        {"stack": "attention+mingru"},
    ],
)
def test_whatever_the_blocks_are_made_of_it_says_nothing(settings):
    model = base(**settings)
    grown = add_attention(model)
    kept = {key: value for key, value in settings.items() if key != "stack"}
    assert {key: getattr(grown.config, key) for key in kept} == kept
    assert_same_outputs(grown, model)


@pytest.mark.parametrize("kind", [*FEED_FORWARDS, None])
def test_the_first_step_reaches_what_is_zero(kind):
    grown = add_attention(base(feed_forward=0) if kind is None else base(feed_forward_kind=kind))
    F.cross_entropy(grown(TOKENS)[0].flatten(0, 1), TOKENS.flatten()).backward()
    zero = {name for name, tensor in grown.blocks[-1].state_dict().items() if not tensor.any() and "norm" not in name}
    last = {"mixer.output.weight", "mixer.output.bias"}
    if kind is not None:
        inner = "feed_forward.2" if kind in ("gelu", "relu") else "feed_forward.output"
        last |= {f"{inner}.weight"} if kind in ("swiglu", "rwkv4", "rwkv7") else {f"{inner}.weight", f"{inner}.bias"}
    assert last <= zero
    for name in last:
        assert bool(grown.blocks[-1].get_parameter(name).grad.any())
    assert all(parameter.requires_grad for parameter in grown.parameters())


def test_a_step_moves_the_layers_below_and_then_what_feeds_the_zeros():
    grown = add_attention(base())
    before = copy.deepcopy(grown.state_dict())
    optimizer = torch.optim.SGD(grown.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(grown(TOKENS)[0].flatten(0, 1), TOKENS.flatten()).backward()
        optimizer.step()
    assert not torch.equal(grown.blocks[0].mixer.projection.weight, before["blocks.0.mixer.projection.weight"])
    assert not torch.equal(
        grown.blocks[-1].mixer.query_key_value.weight, before["blocks.2.mixer.query_key_value.weight"]
    )


@pytest.mark.parametrize(
    ("stack", "depth", "written"),
    [
        ("mingru", 1, "mingru+attention"),
        ("mingru*2", 3, "mingru*6+attention"),
        ("mingru+gru*2", 2, "mingru+gru*2+mingru+gru*2+attention"),
        ("attention+mingru", 1, "attention+mingru+attention"),
        ("statewise.mixers.gru.GRU", 2, "statewise.mixers.gru.GRU*2+attention"),
    ],
)
def test_the_stack_is_written_out(stack, depth, written):
    grown = add_attention(base(stack=stack, depth=depth))
    assert (grown.config.stack, grown.config.depth) == (written, 1)


def test_options_go_to_the_layer():
    grown = add_attention(base(), positions="rope", head_size=3)
    top = grown.blocks[-1].mixer
    assert (top.positions, top.head_size) == ("rope", 3)
    assert grown.config.mixer_settings == ("positions=rope", "head_size=3")
    assert add_attention(base()).blocks[-1].mixer.positions == "none"
    assert add_attention(base(positions="rope")).blocks[-1].mixer.positions == "rope"
    learned = add_attention(base(positions="learned", max_length=20), positions="rope")
    assert (learned.config.positions, learned.blocks[-1].mixer.positions) == ("learned", "rope")


def test_the_model_is_left_as_it_is_and_shares_nothing():
    model = base()
    before = copy.deepcopy(model.state_dict())
    grown = add_attention(model)
    with torch.no_grad():
        for parameter in grown.parameters():
            parameter.add_(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_frozen_parameters_can_be_trained_in_the_copy():
    model = base().requires_grad_(False)
    assert all(parameter.requires_grad for parameter in add_attention(model).parameters())


def test_precision_and_mode_are_kept():
    model = base().double().eval()
    grown = add_attention(model)
    assert {parameter.dtype for parameter in grown.parameters()} == {torch.float64}
    assert not any(module.training for module in grown.modules())
    assert_same_outputs(grown, model)


def test_the_seed_decides_how_the_block_starts_and_nothing_else_does():
    def started(seed, noise):
        torch.manual_seed(noise)
        after = torch.get_rng_state()
        weight = add_attention(base(), seed=seed).blocks[-1].mixer.query_key_value.weight
        assert torch.equal(torch.get_rng_state(), after)
        return weight

    assert torch.equal(started(1, 5), started(1, 6))
    assert not torch.equal(started(1, 5), started(2, 5))


def test_fine_tuning_the_block_lowers_the_loss_and_the_result_is_saved_like_any_model(tmp_path):
    task = AssociativeRecall(keys=4, values=2)
    held_out = task.examples("test", seed=0, start=0, count=256, size=3)
    model = base(vocabulary=task.vocabulary(3), width=16)
    trained(model, task, steps=60)
    grown = add_attention(model)
    with torch.no_grad():
        frozen = float(loss_of(model(held_out.tokens)[0], held_out))
        assert float(loss_of(grown(held_out.tokens)[0], held_out)) == frozen
    # All that can have helped is then the block.
    grown.requires_grad_(False).blocks[-1].requires_grad_(True)
    trained(grown, task, steps=60)
    with torch.no_grad():
        assert float(loss_of(grown(held_out.tokens)[0], held_out)) < frozen - 0.02
    save_model(grown, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.config == grown.config
    assert_same_outputs(loaded, grown, held_out.tokens[:8])


def trained(model, task, *, steps):
    generator = torch.Generator().manual_seed(child_seed(0, "data"))
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        batch = task.sample(generator, batch_size=64, size=3)
        loss_of(model(batch.tokens)[0], batch).backward()
        optimizer.step()


def test_what_cannot_be_given_attention_is_refused():
    with pytest.raises(UsageError, match="add_attention: the model is a VectorModel; it must be a LanguageModel"):
        add_attention(VectorModel(channels=(4, 4), width=6))
    with pytest.raises(
        UsageError, match=r"add_attention: the top layer of the stack 'mingru\+attention' is attention already; fine-tu"
    ):
        add_attention(base(stack="mingru+attention"))
    with pytest.raises(UsageError, match="is attention already"):
        add_attention(add_attention(base()))


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({"stack": "rwkv7"}, {"head_size": 4}, "add_attention: head_size is 4, but rwkv7 in the stack 'rwkv7' takes"),
        (
            {"stack": "attention+mingru"},
            {"positions": "rope"},
            "but attention in the stack 'attention.mingru' takes pos",
        ),
        ({}, {"head_size": 5}, "head_size is 5"),
        ({}, {"positions": "learned"}, "positions is 'learned'; it must be none or rope"),
    ],
)
def test_options_that_cannot_be_are_refused(settings, options, message):
    with pytest.raises(UsageError, match=message):
        add_attention(base(**settings), **options)
