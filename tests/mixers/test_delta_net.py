"""DeltaNet against the recurrence of the paper, one token and one head at a time, in float64."""

import pytest
import torch
import torch.nn.functional as F

from statewise.core.errors import UsageError
from statewise.core.random import seeded
from statewise.mixers.delta_net import DeltaNet
from statewise.testing import assert_close, check_mixer

OPTIONS = [
    {},
    {"head_size": 2},
    {"head_size": 3, "key_expansion": 2, "value_expansion": 3},
    {"head_size": 3, "conv": 0, "gate": True},
    {"conv": 1, "allow_negative_eigenvalues": True},
]


def build(width=6, **options):
    with seeded(0):
        return DeltaNet(width, **options).double()


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def written_out(layer, x):
    """Outputs (T, D) and memory (H, K, V) of one sequence (T, D)."""
    heads, keys, values = layer.memory_shape
    taps = [] if layer.conv_weight is None else list(layer.conv_weight)
    mixed = layer.query_key_value(x)
    memory = torch.zeros(heads, keys, values, dtype=x.dtype)
    outputs = []
    for t in range(len(x)):
        seen = sum(w * mixed[t - j] for j, w in enumerate(taps) if t >= j) if taps else mixed[t]
        query, key, value = F.silu(seen).split([heads * keys, heads * keys, heads * values])
        rate = layer.rate(x[t]).sigmoid() * (2 if layer.allow_negative_eigenvalues else 1)
        answers = []
        for h in range(heads):
            q, k = (each.view(heads, keys)[h] for each in (query, key))
            q, k = (each / (each.norm() ** 2 + 1e-6).sqrt() for each in (q, k))
            v = value.view(heads, values)[h]
            memory = memory.clone()
            memory[h] = memory[h] + rate[h] * torch.outer(k, v - k @ memory[h])
            answer = q @ memory[h] / keys**0.5
            answers.append(answer / (answer.square().mean() + 1e-5).sqrt() * layer.norm.weight)
        joined = torch.cat(answers)
        outputs.append(layer.output(joined * F.silu(layer.gate(x[t])) if layer.gate is not None else joined))
    return torch.stack(outputs), memory


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_it_is_the_recurrence_written_out(options):
    layer, x = build(**options), random(70, 6)
    with torch.no_grad():
        layer.norm.weight.copy_(random(*layer.norm.weight.shape, seed=1))
    y, state = layer(x[None])
    expected, memory = written_out(layer, x)
    assert_close("outputs", y[0], expected)
    assert_close("memory", state.memory[0], memory)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_laws_hold_with_every_option(options):
    check_mixer(build(**options))


def test_with_a_rate_of_one_a_key_gives_back_its_latest_value():
    layer = build(4, conv=0)
    with torch.no_grad():
        layer.query_key_value.weight.zero_()
        layer.query_key_value.weight[4:8] = 50 * torch.eye(4)
        layer.query_key_value.weight[8:] = torch.ones(4, 4).tril()
        layer.rate.weight.fill_(50.0)
    tokens = torch.eye(4, dtype=torch.float64)[[0, 1, 2, 1]] * torch.tensor([1.0, 1, 1, 2])[:, None]
    _, state = layer(tokens[None])
    values = F.silu(tokens @ torch.ones(4, 4, dtype=torch.float64).tril().T)
    assert_close("recalled", state.memory[0, 0, :3], values[[0, 3, 2]], dtype=torch.float32)
    assert_close("never written", state.memory[0, 0, 3], torch.zeros(4, dtype=torch.float64))


def test_the_transition_reflects_only_where_it_is_allowed_to():
    rates = [(build(allow_negative_eigenvalues=allowed), allowed) for allowed in (False, True)]
    for layer, allowed in rates:
        with torch.no_grad():
            layer.rate.weight.fill_(1e3)
        x = torch.ones(1, 1, 6, dtype=torch.float64)
        token = layer.token(layer.query_key_value(x), x)
        eigenvalue = 1 - (token.recall * token.remove).sum(-1)
        assert eigenvalue.item() == pytest.approx(-1.0 if allowed else 0.0, abs=1e-2)


def test_heads_have_the_published_size_where_the_width_allows():
    assert DeltaNet(256).memory_shape == (2, 128, 128)
    assert DeltaNet(192).memory_shape == (2, 96, 96)
    assert DeltaNet(6).memory_shape == (1, 6, 6)
    assert DeltaNet(6, head_size=3, key_expansion=2, value_expansion=3).memory_shape == (2, 6, 9)


def test_weights_start_as_published():
    layer = DeltaNet(256)
    bound = 2**-2.5 * (6 / (256 + 768)) ** 0.5
    assert layer.query_key_value.weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert layer.conv_weight.abs().max().item() == pytest.approx(0.5, rel=1e-2)
    assert {name for name, _ in layer.named_parameters() if "bias" in name} == set()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"head_size": 4}, "DeltaNet: head_size is 4; it must divide the width, 6"),
        ({"key_expansion": 0}, "DeltaNet: key_expansion is 0; it must be at least 1"),
        ({"value_expansion": -1}, "DeltaNet: value_expansion is -1; it must be at least 1"),
        ({"conv": -1}, "DeltaNet: conv is -1; it must be 0, for none, or a number of taps"),
    ],
)
def test_wrong_options_name_the_value(options, said):
    with pytest.raises(UsageError, match=said):
        DeltaNet(6, **options)
    with pytest.raises(UsageError, match="DeltaNet: width is 0"):
        DeltaNet(0, **options)
