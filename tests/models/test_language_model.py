"""The model as a whole keeps the mixers' laws, counts places, and generates what it would score."""

import pytest
import torch

from statewise.core import state_bits
from statewise.core.random import seeded
from statewise.core.state import leaves
from statewise.models import LanguageModel
from statewise.testing import assert_close

STACKS = ["mingru", "minlstm*2", "gru+attention", "attention*2", "lstm"]
CONV = {"minlstm*2", "gru+attention"}


def build(**settings):
    with seeded(0):
        return LanguageModel(**{"vocabulary": 11, "width": 6, **settings}).double()


def tokens(*shape, seed=0):
    return torch.randint(0, 11, shape, generator=torch.Generator().manual_seed(seed))


def placed(positions):
    return {"positions": positions, "max_length": 40 if positions == "learned" else None}


@pytest.mark.parametrize("positions", ["none", "learned", "rope"])
@pytest.mark.parametrize("stack", STACKS)
def test_forward_is_step_by_step_and_can_be_cut(stack, positions):
    model = build(stack=stack, conv=3 if stack in CONV else 0, **placed(positions))
    read = tokens(3, 20)
    logits, final = model(read)
    left, state = model(read[:, :7])
    assert_close("left", left, logits[:, :7])
    for t in range(7, 20):
        step, state = model.step(read[:, t], state)
        assert_close(f"step {t}", step, logits[:, t])
    for one, other in zip(leaves(state), leaves(final), strict=True):
        assert_close("final", one, other, dtype=torch.float64)


@pytest.mark.parametrize("positions", ["none", "learned", "rope"])
@pytest.mark.parametrize("stack", STACKS)
def test_packed_sequences_do_not_meet(stack, positions):
    model = build(stack=stack, conv=3 if stack in CONV else 0, **placed(positions))
    first, second, third = tokens(1, 8, seed=1), tokens(1, 5, seed=2), tokens(1, 4, seed=3)
    packed = torch.cat([first, second, third], 1)
    reset = torch.zeros(1, 17, dtype=torch.bool)
    reset[0, 8] = reset[0, 13] = True
    logits, state = model(packed, reset=reset)
    alone = torch.cat([model(part)[0] for part in (first, second, third)], 1)
    assert_close("logits", logits, alone)
    after, _ = model.step(torch.tensor([1]), state)
    assert_close("after", after, model.step(torch.tensor([1]), model(third)[1])[0])


@pytest.mark.parametrize("positions", ["none", "learned", "rope"])
@pytest.mark.parametrize("stack", STACKS)
def test_a_reset_while_sequences_go_on_concerns_its_own_sequence(stack, positions):
    model = build(stack=stack, conv=3 if stack in CONV else 0, **placed(positions))
    before, read = tokens(3, 6, seed=1), tokens(3, 9, seed=2)
    reset = torch.zeros(3, 9, dtype=torch.bool)
    reset[0, 0] = reset[1, 4] = True
    logits, state = model(read, model(before)[1], reset=reset)
    after, _ = model.step(torch.ones(3, dtype=torch.int64), state)
    for row, alone in enumerate([read[:1], read[1:2, 4:], torch.cat([before[2:], read[2:]], 1)]):
        expected, _ = model(torch.cat([alone, torch.tensor([[1]])], 1))
        length = min(9, alone.shape[1])
        assert_close(f"row {row}", logits[row, 9 - length :], expected[0, -length - 1 : -1])
        assert_close(f"row {row}, one more", after[row], expected[0, -1])


@pytest.mark.parametrize("positions", ["none", "learned", "rope"])
@pytest.mark.parametrize("stack", STACKS)
def test_no_tokens_give_no_logits_and_leave_the_state(stack, positions):
    model = build(stack=stack, conv=3 if stack in CONV else 0, **placed(positions))
    _, state = model(tokens(2, 5))
    for reset in (None, torch.zeros(2, 0, dtype=torch.bool)):
        logits, after = model(tokens(2, 0), state, reset=reset)
        assert logits.shape == (2, 0, 11)
        assert all(torch.equal(one, other) for one, other in zip(leaves(state), leaves(after), strict=True))


@pytest.mark.parametrize("positions", ["none", "learned", "rope"])
def test_positions_are_known_in_one_way(positions):
    model = build(stack="attention+gru", **placed(positions))
    assert model.blocks[0].mixer.positions == ("rope" if positions == "rope" else "none")
    assert (model.places is None) == (positions != "learned")


def test_embeddings_start_small():
    model = LanguageModel(vocabulary=300, width=50, **placed("learned"))
    for table in (model.embedding, model.places):
        assert table.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_state_bits_are_those_of_the_tensors_carried():
    carried = {
        "mingru": 32 * 6,
        "mingru*3": 3 * 32 * 6,
        "gru": 32 * 6,
        "lstm": 2 * 32 * 6,
        "attention": 2 * 32 * 6 * 9 + 64,
    }
    for stack, bits in carried.items():
        model = LanguageModel(vocabulary=11, width=6, stack=stack)
        assert state_bits(model(tokens(2, 9))[1]) == bits, stack


def test_expansion_multiplies_the_state_and_depth_the_layers():
    model = LanguageModel(vocabulary=11, width=6, stack="mingru+minlstm", depth=2, expansion=3)
    assert model.config.layers == ("mingru", "minlstm", "mingru", "minlstm")
    assert state_bits(model.initial_state(1)) == 4 * 3 * 6 * 32


def test_a_convolution_carries_its_window():
    model = LanguageModel(vocabulary=11, width=6, conv=4)
    assert state_bits(model(tokens(2, 9))[1]) == 32 * 6 + 3 * 32 * 6


def test_a_place_beyond_the_learned_ones_is_refused():
    model = build(**placed("learned"))
    _, state = model(tokens(1, 40))
    with pytest.raises(ValueError, match="token number 41 has no learned position; max_length is 40"):
        model.step(torch.tensor([1]), state)
    with pytest.raises(ValueError, match="token number 41"):
        model(tokens(1, 41))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary": 0}, "vocabulary is 0"),
        ({"width": 0}, "width is 0"),
        ({"depth": 0}, "depth is 0"),
        ({"stack": "gru", "expansion": 0}, "model: expansion is 0"),
        ({"feed_forward": -1}, "feed_forward is -1"),
        ({"conv": -1}, "conv is -1"),
        ({"dropout": 1.0}, "model: dropout is 1.0; it must be at least 0 and below 1"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"positions": "rotary"}, "positions is 'rotary'; it must be one of none, learned, rope"),
        ({"positions": "learned"}, "max_length is None; learned positions need a max_length"),
        ({"max_length": 5}, "positions is 'none' and max_length is 5"),
        ({"stack": "mingru++gru"}, "is not a layer"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_tokens_of_another_shape_or_dtype_are_refused():
    with pytest.raises(ValueError, match=r"int64 of shape \(batch, time\).\n  tokens  \(5,\)"):
        build()(tokens(5))
    with pytest.raises(ValueError, match="float32"):
        build()(torch.zeros(1, 5))


def test_a_model_without_feed_forward_has_none():
    names = dict(build(feed_forward=0).named_parameters())
    assert not any("feed_forward" in name for name in names)
    assert any("feed_forward" in name for name, _ in build().named_parameters())


@pytest.mark.parametrize("stack", STACKS)
def test_greedy_generation_takes_the_likeliest_token_of_forward(stack):
    model = build(stack=stack)
    prompt = tokens(2, 4)
    generated = torch.stack(list(model.generate(prompt, 6, temperature=0)), 1)
    everything = torch.cat([prompt, generated], 1)
    assert torch.equal(model(everything)[0][:, 3:-1].argmax(-1), generated)


def test_sampling_follows_its_generator_and_its_distribution():
    model = build()
    prompt = tokens(1, 4).expand(4000, -1)
    draws = [next(model.generate(prompt, 1, generator=torch.Generator().manual_seed(seed))) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    expected = model(prompt[:1])[0][0, -1].softmax(-1)
    assert (torch.bincount(draws[0], minlength=11) / 4000 - expected).abs().max() < 0.03


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_temperature_divides_the_logits(temperature):
    model = build()
    with torch.no_grad():
        model.head.weight *= 5
    prompt, generator = tokens(1, 4), torch.Generator().manual_seed(0)
    (draws,) = model.generate(prompt.expand(4000, -1), 1, temperature=temperature, generator=generator)
    expected = (model(prompt)[0][0, -1] / temperature).softmax(-1)
    assert (torch.bincount(draws, minlength=11) / 4000 - expected).abs().max() < 0.03
    assert (expected - model(prompt)[0][0, -1].softmax(-1)).abs().max() > 0.1


def test_generation_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="prompt is empty"):
        next(build().generate(tokens(1, 0), 1, temperature=0))
    with pytest.raises(ValueError, match="temperature is -1"):
        next(build().generate(tokens(1, 1), 1, temperature=-1))
    with pytest.raises(ValueError, match="temperature is nan"):
        next(build().generate(tokens(1, 1), 1, temperature=float("nan"), generator=torch.Generator()))
    with pytest.raises(ValueError, match="generator is None"):
        next(build().generate(tokens(1, 1), 1))
