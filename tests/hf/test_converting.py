"""transformers' own architectures, small and random, are ours to 1e-5 in logits and in ten tokens; and back."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM as Auto
from transformers import (
    Mamba2Config,
    MambaConfig,
    RecurrentGemmaConfig,
    xLSTMConfig,
)

from hf.made import continued
from statewise.core.errors import RunError, UsageError
from statewise.core.random import seeded
from statewise.hf import StatewiseForCausalLM
from statewise.hf.converting import from_transformers, to_transformers
from statewise.models import LanguageModel

SMALL = {"vocab_size": 23, "hidden_size": 16, "num_hidden_layers": 2, "pad_token_id": None, "eos_token_id": None}
GEMMA = SMALL | {"intermediate_size": 2 * 40, "num_attention_heads": 2, "logits_soft_cap": 2.0, "num_hidden_layers": 4}
XLSTM = SMALL | {"hidden_size": 128, "num_heads": 4, "autocast_kernel_dtype": "float32"}
CONFIGS = {
    "mamba": MambaConfig(**SMALL, state_size=5),
    "mamba, untied, no bias": MambaConfig(
        **SMALL, tie_word_embeddings=False, use_conv_bias=False, expand=3, conv_kernel=3, layer_norm_epsilon=1e-2
    ),
    "mamba2": Mamba2Config(**SMALL, num_heads=4, head_dim=8, state_size=6, n_groups=2, chunk_size=16),
    "mamba2, tied": Mamba2Config(
        **SMALL, num_heads=2, head_dim=16, state_size=6, n_groups=1, chunk_size=16, tie_word_embeddings=True
    ),
    "recurrent_gemma": RecurrentGemmaConfig(**GEMMA, num_key_value_heads=1, attention_window_size=7),
    "recurrent_gemma, biased": RecurrentGemmaConfig(
        **GEMMA, block_types=["attention", "recurrent"], attention_bias=True, tie_word_embeddings=False, conv1d_width=2
    ),
    "recurrent_gemma, hawk": RecurrentGemmaConfig(**GEMMA, block_types=["recurrent"]),
    "xlstm": xLSTMConfig(**XLSTM, output_logit_soft_cap=1.5, ffn_round_up_to_multiple_of=8),
}
over_configs = pytest.mark.parametrize("name", CONFIGS)

# torch itself uses what it deprecates when transformers' xLSTM asks for a kernel.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


def theirs(name):
    """A model of transformers whose every weight says something."""
    with seeded(0), torch.no_grad():
        model = Auto.from_config(CONFIGS[name])
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "theirs"


def tokens(*shape):
    return torch.randint(23, shape, generator=torch.Generator().manual_seed(0))


def assert_same(ours, model, length=30):
    """The same logits to 1e-5 of the largest, and the same ten tokens."""
    read = tokens(2, length)
    # A cache of theirs with no attention in it cannot say how long it is, and RecurrentGemma asks.
    cached = "sliding_attention" in getattr(model.config, "layers_block_type", ["sliding_attention"])
    with torch.no_grad():
        expected = model(read, use_cache=cached).logits
    assert (ours(read).logits - expected).abs().max() <= 1e-5 * expected.abs().max().clamp(min=1)
    prompt = tokens(1, 12)
    assert torch.equal(
        continued(ours, prompt, 10),
        continued(model, prompt, 10, attention_mask=torch.ones_like(prompt), use_cache=cached),
    )


@over_configs
def test_theirs_are_ours(name, folder):
    model = theirs(name)
    model.save_pretrained(folder)
    ours = from_transformers(folder).eval()
    assert_same(StatewiseForCausalLM.of(ours), model)
    places = [parameter.data_ptr() for parameter in ours.parameters()]
    assert len(set(places)) == len(places)


@over_configs
def test_ours_go_back_to_what_they_were(name, folder, tmp_path):
    theirs(name).save_pretrained(folder)
    ours = from_transformers(folder).eval()
    back = to_transformers(ours, CONFIGS[name].model_type)
    assert back.config.tie_word_embeddings == CONFIGS[name].tie_word_embeddings
    back.save_pretrained(tmp_path / "back")
    again = Auto.from_pretrained(tmp_path / "back")
    assert_same(StatewiseForCausalLM.of(ours), again)


OURS = {
    "mamba": {"stack": "mamba*2", "feed_forward": 0},
    "mamba2": {"stack": "mamba2", "feed_forward": 0, "norm_epsilon": 1e-5, "mixer_settings": ("state_size=4",)},
    "recurrent_gemma": {
        "stack": "rg-lru+attention",
        "positions": "rope",
        "feed_forward": 2,
        "feed_forward_kind": "geglu-tanh",
        "logits_cap": 3.0,
        "mixer_settings": ("scale_first=False", "window=6", "head_size=4"),
    },
    "xlstm": {"width": 128, "stack": "mlstm", "feed_forward_kind": "swiglu", "logits_cap": 3.0},
}


@pytest.mark.parametrize("architecture", OURS)
def test_a_stack_of_ours_of_that_shape_is_theirs(architecture):
    with seeded(0), torch.no_grad():
        model = LanguageModel(**{"vocabulary": 23, "width": 16} | OURS[architecture]).eval()
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    assert_same(StatewiseForCausalLM.of(model), to_transformers(model, architecture))


REFUSED = {
    "feed-forward": ("mamba", {"stack": "mamba"}, "feed_forward is 64 in this model; in a mamba model it is 0"),
    "layers": ("mamba", {"stack": "mamba+gru"}, r"has layers of mamba alone; this stack, 'mamba\+gru', has gru"),
    "norm": ("mamba", {"stack": "mamba", "feed_forward": 0, "norm": "layer"}, "norm is 'layer' in this model"),
    "conv": ("mamba", {"stack": "mamba", "feed_forward": 0, "conv": 2}, "conv is 2 in this model"),
    "cap": ("xlstm", {"stack": "mlstm", "width": 128, "feed_forward_kind": "swiglu"}, "logits_cap is None in this"),
    "first": (
        "recurrent_gemma",
        OURS["recurrent_gemma"] | {"mixer_settings": ("window=6", "head_size=4")},
        "scale_first of block 0, rg-lru, is True in this model; in a recurrent_gemma model it is False",
    ),
    "window": (
        "recurrent_gemma",
        OURS["recurrent_gemma"] | {"mixer_settings": ("scale_first=False", "head_size=4")},
        "recurrent of block 1, attention, is False in this model; in a recurrent_gemma model it is True",
    ),
    "name": ("mambo", {}, "unknown architecture 'mambo': did you mean mamba"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_stack_that_is_none_of_theirs_says_what_differs(case):
    architecture, settings, message = REFUSED[case]
    with pytest.raises(UsageError, match=message):
        to_transformers(LanguageModel(**{"vocabulary": 23, "width": 16} | settings), architecture)


FOREIGN = {
    "bias": (MambaConfig(**SMALL, use_bias=True), "use_bias is True in this mamba model; ours have False alone"),
    "act": (MambaConfig(**SMALL, hidden_act="relu"), "hidden_act is 'relu'"),
    "limit": (
        Mamba2Config(**SMALL, num_heads=4, head_dim=8, state_size=6, n_groups=2, time_step_limit=(0.1, 1.0)),
        "time_step_limit is \\(0.1, 1.0\\)",
    ),
    "fused": (xLSTMConfig(**XLSTM, weight_mode="fused"), "weight_mode is 'fused'"),
    "theta": (
        RecurrentGemmaConfig(**GEMMA, rope_parameters={"rope_type": "default", "rope_theta": 5.0}),
        "rope_theta': 5.0",
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_setting_that_ours_do_not_have_is_refused(case, folder):
    config, message = FOREIGN[case]
    config.save_pretrained(folder)
    with pytest.raises(UsageError, match=message):
        from_transformers(folder)


def changed(folder, change):
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def test_tensors_that_are_missing_or_too_many_are_named(folder):
    theirs("mamba").save_pretrained(folder)
    changed(folder, lambda weights: weights.pop("backbone.layers.1.mixer.D"))
    changed(folder, lambda weights: weights.update({f"extra.{i}": torch.zeros(1) for i in range(5)}))
    lacks = r"it lacks 1 tensor \(backbone.layers.1.mixer.D\)"
    with pytest.raises(UsageError, match=rf"{lacks}; it has a surplus of 5 tensors \(extra.0, extra.1, extra.2, …\)"):
        from_transformers(folder)


def test_a_tensor_of_another_shape_is_named(folder):
    theirs("mamba").save_pretrained(folder)
    changed(folder, lambda weights: weights.update({"backbone.norm_f.weight": torch.zeros(3)}))
    with pytest.raises(UsageError, match=r"backbone.norm_f.weight has the shape \(3,\); .* needs \(16,\)"):
        from_transformers(folder)


def test_a_pickle_is_refused_unread(folder):
    theirs("mamba").save_pretrained(folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"pytorch_model.bin is a pickle, .*; save the model with safetensors"):
        from_transformers(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(UsageError, match=r"holds no weights: there is no model.safetensors in it"):
        from_transformers(folder)


def test_a_damaged_file_is_a_failure(folder):
    theirs("mamba").save_pretrained(folder)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match="does not hold a whole checkpoint"):
        from_transformers(folder)


def test_another_architecture_is_refused(folder):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(
        UsageError, match="unknown architecture 'gpt2': there are mamba, mamba2, recurrent_gemma, xlstm"
    ):
        from_transformers(folder)
