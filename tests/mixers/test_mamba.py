"""Mamba against transformers' MambaForCausalLM, built tiny, its random weights copied."""

import pytest
import torch
import torch.nn.functional as F
from transformers import DynamicCache, MambaConfig, MambaForCausalLM

from statewise.mixers.mamba import Mamba
from statewise.testing import assert_close


@pytest.fixture(scope="module")
def model():
    """Two layers whose weights are all random, also those that start constant."""
    torch.manual_seed(0)
    config = MambaConfig(
        vocab_size=11, hidden_size=20, num_hidden_layers=2, state_size=5, time_step_rank=3, tie_word_embeddings=False
    )
    model = MambaForCausalLM(config).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def converted(theirs):
    ours = Mamba(theirs.hidden_size, state_size=theirs.ssm_state_size, rank=theirs.time_step_rank).double()
    weights = {name: value.detach() for name, value in theirs.named_parameters()}
    ours.load_state_dict(
        {
            "input.weight": weights["in_proj.weight"],
            "conv_weight": weights["conv1d.weight"][:, 0].T.flip(0),
            "conv_bias": weights["conv1d.bias"],
            "select.weight": weights["x_proj.weight"],
            "step_size.weight": weights["dt_proj.weight"],
            "step_size.bias": weights["dt_proj.bias"],
            "log_rates": weights["A_log"],
            "skip": weights["D"],
            "output.weight": weights["out_proj.weight"],
        }
    )
    return ours


def test_the_mixer_is_transformers(model):
    theirs = model.backbone.layers[0].mixer
    ours, x = converted(theirs), torch.randn(2, 30, 20, dtype=torch.float64)
    # Theirs rounds A and D to float32.
    assert_close("outputs", ours(x)[0], theirs(x), dtype=torch.float32)


def test_its_gradients_are_transformers(model):
    theirs = model.backbone.layers[1].mixer.float()
    ours, x = converted(theirs).float(), torch.randn(2, 12, 20)
    names = {"in_proj.weight": "input.weight", "dt_proj.bias": "step_size.bias", "A_log": "log_rates", "D": "skip"}
    ours(x)[0].square().sum().backward()
    theirs(x).square().sum().backward()
    for their_name, name in names.items():
        assert_close(name, ours.get_parameter(name).grad, theirs.get_parameter(their_name).grad)
    theirs.double().zero_grad()


def test_a_model_of_our_mixers_gives_transformers_logits_and_states(model):
    tokens, cache = torch.randint(11, (2, 17)), DynamicCache(config=model.config)
    with torch.no_grad():
        logits = model(tokens, cache=cache, use_cache=True).logits
        x = model.backbone.embeddings(tokens)
        for index, layer in enumerate(model.backbone.layers):
            y, state = converted(layer.mixer)(layer.norm(x))
            x = x + y
            assert_close("hidden", state.hidden, cache.get_recurrent_state(index, state_idx=0), dtype=torch.float32)
            window = cache.get_conv_state(index, state_idx=0)[..., -3:]
            assert_close("window", state.window, window.transpose(1, 2), dtype=torch.float32)
        assert_close("logits", model.lm_head(model.backbone.norm_f(x)), logits, dtype=torch.float32)


def test_it_starts_as_published():
    layer = Mamba(256)
    assert (layer.channels, layer.rank) == (512, 16)
    assert_close("A", -layer.log_rates.exp(), -torch.arange(1.0, 17).expand(512, 16))
    steps = F.softplus(layer.step_size.bias).log10()
    assert -3.001 < steps.min().item() < -2.95
    assert -1.05 < steps.max().item() < -0.999
    assert steps.mean().item() == pytest.approx(-2, abs=0.1)
    assert layer.step_size.weight.abs().max().item() == pytest.approx(0.25, rel=0.01)
    assert bool((layer.skip == 1).all())
    assert Mamba(2).rank == 1


def test_wrong_options_name_the_value():
    for name in ("expansion", "state_size", "rank", "conv"):
        with pytest.raises(ValueError, match=f"Mamba: {name} is 0; it must be at least 1"):
            Mamba(4, **{name: 0})
