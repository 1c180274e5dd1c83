"""Encoder–decoders over every mixer: padding changes nothing, steps agree with the parallel form, and what crosses."""

import pytest
import torch

from statewise.core.errors import RunError, UsageError
from statewise.core.padding import left_padding_reset
from statewise.core.state import leaves, state_bits
from statewise.mixers import MIXERS, Attention, MinGRU
from statewise.models import EncoderDecoder, EncoderDecoderConfig, load_model, save_model
from statewise.models.bidirectional import Bidirectional, FullAttention
from statewise.models.encoder_decoder import BEGIN, END, PAD, within_sentences

SOURCES, TARGETS = (4, 1, 6), (3, 5, 2)
RECURRENT = sorted(name for name, mixer in MIXERS.items() if mixer.recurrent)
CASES = [(name, "attention") for name in sorted(MIXERS)] + [(name, "state") for name in RECURRENT]


def model_of(stack: str, bridge: str, **settings) -> EncoderDecoder:
    torch.manual_seed(0)
    model = EncoderDecoder(vocabulary=11, width=8, stack=stack, bridge=bridge, **settings).double().eval()
    with torch.no_grad():
        # Larger than at the start of training, so that what is read matters by more than rounding.
        model.decoder.embedding.weight.mul_(20)
    return model


def padded_pairs(length: int = 7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    pairs = torch.zeros(len(SOURCES), length, 2, dtype=torch.int64)
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        pairs[row, :source, 0] = torch.randint(END, 11, (source,), generator=generator)
        pairs[row, :target, 1] = torch.randint(BEGIN, 11, (target,), generator=generator)
    return pairs


@pytest.mark.parametrize(("stack", "bridge"), CASES)
def test_padding_changes_no_answer(stack, bridge):
    model, pairs = model_of(stack, bridge), padded_pairs()
    together, _ = model(pairs)
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        alone, _ = model(pairs[row : row + 1, : max(source, target)])
        torch.testing.assert_close(alone[0, :target], together[row, :target], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("stack", "bridge"), CASES)
def test_steps_agree_with_the_parallel_form_and_every_token_of_the_source_counts(stack, bridge):
    model, pairs = model_of(stack, bridge), padded_pairs()
    together, _ = model(pairs)
    state = model.read(pairs[..., 0])
    for place in range(max(TARGETS)):
        logits, state = model.step(pairs[:, place, 1], state)
        for row, target in enumerate(TARGETS):
            if place < target:
                torch.testing.assert_close(logits[row], together[row, place], rtol=1e-9, atol=1e-9)
    changed = pairs.clone()
    changed[0, 0, 0] = changed[0, 0, 0] % 8 + 3
    assert (model(changed)[0][0, 0] - together[0, 0]).abs().max() > 1e-7


@pytest.mark.parametrize("stack", RECURRENT)
def test_the_state_that_crosses_has_one_size_for_every_source(stack):
    model = model_of(stack, "state")
    sizes = {state_bits(model.read(torch.full((1, length), END))) for length in (1, 2, 9)}
    assert len(sizes) == 1


def test_the_memory_that_crosses_grows_with_the_source_and_is_computed_once(monkeypatch):
    model = model_of("mingru*2", "attention")
    short, long = (state_bits(model.read(torch.full((1, length), END))) for length in (3, 6))
    # Keys and values of two layers in float64, and a bool.
    assert long - short == 2 * 3 * (2 * 8 * 64 + 8)
    state = model.read(torch.full((1, 3), END))
    for block in model.decoder.blocks:
        monkeypatch.setattr(block.cross, "remember", None)
    model.step(torch.tensor([BEGIN]), state)


def test_nothing_but_the_final_state_crosses_the_bridge_of_states():
    model = model_of("gru", "state")
    source = torch.tensor([[5, 6, 7, END]])
    before = model(torch.stack([source, torch.tensor([[BEGIN, 4, 4, 4]])], -1))[0]
    model.encoder.register_forward_hook(lambda module, inputs, output: (output[0] * 0, output[1]))
    assert torch.equal(before, model(torch.stack([source, torch.tensor([[BEGIN, 4, 4, 4]])], -1))[0])


@pytest.mark.parametrize("length", [1, 4])
def test_a_bidirectional_layer_is_two_that_each_read_the_tokens_without_padding(length):
    torch.manual_seed(0)
    layer, x = Bidirectional(MinGRU(6), MinGRU(6)).double(), torch.randn(2, 6, 6).double()
    y, states = layer(x, reset=left_padding_reset([length, 6], 6))
    alone = x[:1, 6 - length :]
    ahead, end = layer.ahead(alone)
    back, beginning = layer.back(alone.flip(1))
    torch.testing.assert_close(y[:1, 6 - length :], ahead + back.flip(1))
    torch.testing.assert_close(states.ahead.hidden[:1], end.hidden)
    torch.testing.assert_close(states.back.hidden[:1], beginning.hidden)


@pytest.mark.parametrize("positions", ["none", "rope"])
def test_full_attention_is_softmax_over_every_real_token(positions):
    torch.manual_seed(0)
    layer, x = FullAttention(Attention(6, head_size=6, positions=positions)).double(), torch.randn(1, 5, 6).double()
    y, _ = layer(x, reset=left_padding_reset([3], 5))
    query, key, value = (part[0, 2:, 0] for part in layer.project(x))
    if positions == "none":
        expected = layer.output((query @ key.T / 6**0.5).softmax(-1) @ value)
        torch.testing.assert_close(y[0, 2:], expected)
    torch.testing.assert_close(y[:, 2:], layer(x[:, 2:])[0])


def test_a_whole_sequence_has_no_step():
    layer = Bidirectional(MinGRU(6), MinGRU(6))
    with pytest.raises(UsageError, match="Bidirectional: it reads a whole sequence at once, and has no step"):
        layer.step(torch.zeros(1, 6), layer.initial_state(1))


def test_gathering_within_a_sentence_leaves_its_memory():
    model = model_of("mingru", "attention")
    state = model.read(torch.tensor([[5, END], [5, END]]))
    _, state = model.step(torch.tensor([4, 6]), state)
    moved = within_sentences(state, torch.tensor([1, 1]))
    assert moved.blocks[0].memory is state.blocks[0].memory
    assert torch.equal(moved.blocks[0].mixer.hidden[0], state.blocks[0].mixer.hidden[1])


@pytest.mark.parametrize("positions", ["learned", "rope", "none"])
def test_positions_count_from_the_first_token_on_both_sides(positions):
    model = model_of("attention", "attention", positions=positions, max_length=9 if positions == "learned" else None)
    pairs = padded_pairs()
    alone, together = model(pairs[1:2, :5])[0], model(pairs)[0]
    torch.testing.assert_close(alone[0], together[1, :5])
    state = model.read(pairs[1:2, :, 0])
    for place in range(5):
        logits, state = model.step(pairs[1:2, place, 1], state)
        torch.testing.assert_close(logits[0], together[1, place])


@pytest.mark.parametrize(
    ("stack", "bridge"), [("mingru*2", "state"), ("rwkv4*2", "state"), ("lstm+attention", "attention")]
)
def test_gradients_reach_every_parameter_but_those_behind_the_states_that_cross(stack, bridge):
    model = EncoderDecoder(vocabulary=11, width=8, stack=stack, bridge=bridge)
    model(padded_pairs())[0].square().sum().backward()
    idle = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    # What the top block and the norm above it say is not read where states cross.
    assert all(bridge == "state" and name.startswith(("encoder.blocks.1", "encoder.norm")) for name in idle)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bridge": "rope"}, "unknown bridge 'rope'"),
        ({"vocabulary": 0}, "vocabulary is 0; it must be at least 1"),
        ({"stack": "mingru*"}, "is not a layer"),
        ({"mixer_settings": ("head_size=4",)}, "takes no 'head_size'"),
        (
            {"stack": "attention", "bridge": "state"},
            "in the encoder 'attention' has no final state of one size",
        ),
        ({"encoder": "gru+attention", "bridge": "state"}, "take a recurrent encoder, or bridge attention"),
    ],
)
def test_what_cannot_be_built_says_why(settings, message):
    with pytest.raises(UsageError, match=message):
        EncoderDecoder(**{"vocabulary": 11, "width": 8, "stack": "mingru"} | settings)


def test_a_setting_of_one_half_is_no_mistake_in_the_other():
    config = EncoderDecoderConfig(vocabulary=11, stack="mingru", encoder="attention", mixer_settings=("head_size=4",))
    assert config.source_half.mixer_settings == ("head_size=4",)
    assert config.target_half.mixer_settings == ()


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.int64), r"pairs must be int64 of shape \(batch, time, 2\).*\n  pairs  \(2, 3\)"),
        (torch.zeros(2, 3, 2), "torch.float32"),
        (torch.zeros(2, 3, 2, dtype=torch.int64), "a source is empty; it must have at least one token, such as END"),
    ],
)
def test_tokens_that_are_no_pairs_are_refused(pairs, message):
    with pytest.raises(UsageError, match=message):
        model_of("mingru", "attention")(pairs)


@pytest.mark.parametrize("bridge", ["state", "attention"])
def test_a_model_comes_back_from_its_file_with_one_embedding(tmp_path, bridge):
    model, pairs = model_of("mingru+gru", bridge).float(), padded_pairs()
    save_model(model, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors").eval()
    assert again.config == model.config
    assert torch.equal(again(pairs)[0], model(pairs)[0])
    assert sum(tensor.shape == (11, 8) for tensor in again.state_dict().values()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda weights: weights.pop("decoder.norm.weight"),
            r"it lacks 1: decoder\.norm\.weight; copy or save it again$",
        ),
        (lambda weights: weights.update(extra=torch.ones(1)), r"it has too many by 1: extra; copy or save it again$"),
        (
            lambda weights: [weights.pop(name) for name in sorted(weights)[:5]],
            "it lacks 5: .*, …; copy or save it again$",
        ),
    ],
)
def test_a_file_with_missing_or_surplus_tensors_is_named_in_one_line(tmp_path, change, message):
    from safetensors.torch import load_file, save_file

    from statewise.core.config import canonical

    path = tmp_path / "model.safetensors"
    model = model_of("mingru", "state")
    save_model(model, path)
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"statewise.model": canonical(model.config)})
    with pytest.raises(RunError, match=message) as error:
        load_model(path)
    assert "\n" not in str(error.value)


def test_leaves_have_the_batch_first():
    for bridge in ("state", "attention"):
        state = model_of("mingru+attention" if bridge == "attention" else "mingru", bridge).read(padded_pairs()[..., 0])
        assert {len(leaf) for leaf in leaves(state)} == {3}


def test_padding_is_what_the_task_pads_with():
    from statewise.tasks import translation

    assert (PAD, BEGIN, END) == (translation.PAD, translation.BEGIN, translation.END)
