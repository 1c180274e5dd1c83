"""The delta scan: its kernels, transformers' gated delta rules, and a memory that replaces what it holds."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck
from transformers.models.kimi_linear.modeling_kimi_linear import recurrent_kimi_delta_attention
from transformers.models.qwen3_next.modeling_qwen3_next import (
    torch_chunk_gated_delta_rule,
    torch_recurrent_gated_delta_rule,
)

from statewise.core.errors import UsageError
from statewise.ops.delta_scan import delta_scan
from statewise.ops.delta_scan.reference import advance
from statewise.testing import assert_close

NAMES = ("query", "key", "value", "recall", "remove", "log_decay", "initial")
DECAYS = ("none", "head", "channel")
FAST = ("chunked", "cpu", "cpu-portable")
LENGTHS = (1, 2, 5, 63, 64, 65, 130)


def draw(length, decay="head", *, batch=2, heads=2, keys=4, values=3, seed=0):
    """Arguments by name in float64: recalls of length 1, of which less is removed than recalled."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    tokens = (batch, length, heads)
    recall = F.normalize(normal(*tokens, keys), dim=-1)
    log_decay = {"none": None, "head": normal(*tokens), "channel": normal(*tokens, keys)}[decay]
    drawn = {
        "query": normal(*tokens, keys),
        "key": normal(*tokens, keys),
        "value": normal(*tokens, values),
        "recall": recall,
        "remove": recall * normal(*tokens, keys).sigmoid(),
        "log_decay": None if log_decay is None else -log_decay.exp(),
        "initial": normal(batch, heads, keys, values),
    }
    return {name: tensor for name, tensor in drawn.items() if tensor is not None}


def leaves(arguments):
    return {name: tensor.detach().clone().requires_grad_() for name, tensor in arguments.items()}


def results(arguments, **options):
    """Outputs, the final state and the gradients of both, by name."""
    arguments = leaves(arguments)
    outputs, final = delta_scan(**arguments, **options)
    generator = torch.Generator().manual_seed(1)
    ends = [(end * torch.randn(end.shape, generator=generator, dtype=torch.float64)).sum() for end in (outputs, final)]
    gradients = torch.autograd.grad(sum(ends), list(arguments.values()))
    return {"outputs": outputs, "final": final, **dict(zip(arguments, gradients, strict=True))}


def assert_forms_agree(arguments, kernel, **options):
    fast, expected = (results(arguments, kernel=form, **options) for form in (kernel, "reference"))
    for name, tensor in expected.items():
        assert bool(tensor.isfinite().all()), name
        assert_close(name, fast[name], tensor)


over_fast = pytest.mark.parametrize("kernel", FAST)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("decay", DECAYS)
@over_fast
def test_every_kernel_is_the_loop(kernel, decay, length):
    assert_forms_agree(draw(length, decay), kernel)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("decay", DECAYS)
@over_fast
def test_every_kernel_is_the_loop_across_resets(kernel, decay, length):
    reset = torch.rand(2, length, generator=torch.Generator().manual_seed(0)) < 0.05
    reset[0, 0] = reset[1, -1] = True
    assert_forms_agree(draw(length, decay), kernel, reset=reset)


@pytest.mark.parametrize("decay", ["head", "channel"])
@over_fast
def test_decays_from_nothing_to_everything(kernel, decay):
    arguments = draw(130, decay)
    arguments["log_decay"][:, ::7] = 0
    arguments["log_decay"][:, 40] = arguments["log_decay"][0, 64] = arguments["log_decay"][1, 129] = -torch.inf
    arguments["log_decay"][:, 20] = -1e6
    assert_forms_agree(arguments, kernel)


@pytest.mark.parametrize("decay", ["head", "channel"])
@over_fast
def test_a_large_decay_takes_no_precision_from_small_ones(kernel, decay):
    arguments = {name: tensor.float() for name, tensor in draw(60, decay).items()}
    arguments["log_decay"] = arguments["log_decay"] * 1e-2
    arguments["log_decay"][:, 10] = -1e6
    expected = delta_scan(**{name: tensor.double() for name, tensor in arguments.items()}, kernel="reference")
    for ours, theirs in zip(delta_scan(**arguments, kernel=kernel), expected, strict=True):
        assert_close("outputs and final", ours, theirs)


def test_the_loop_is_the_definition():
    arguments = draw(6, "channel")
    query, key, value, recall, remove, log_decay, initial = (arguments[name] for name in NAMES)
    outputs, final = delta_scan(**arguments, kernel="reference")
    for b in range(2):
        for h in range(2):
            state = initial[b, h]
            for t in range(6):
                q, k, v, c, r, g = (each[b, t, h] for each in (query, key, value, recall, remove, log_decay))
                transition = torch.diag(g.exp()) - torch.outer(r, c)
                state = transition @ state + torch.outer(k, v)
                assert_close("outputs", outputs[b, t, h], state.T @ q)
            assert_close("final", final[b, h], state)


@pytest.mark.parametrize("theirs", [torch_recurrent_gated_delta_rule, torch_chunk_gated_delta_rule])
@pytest.mark.parametrize("length", [1, 64, 100])
@over_fast
def test_one_decay_a_head_is_transformers_gated_delta_rule(kernel, theirs, length):
    arguments = {name: tensor.float() for name, tensor in draw(length).items()}
    query, recall, value, log_decay, initial = (
        arguments[name] for name in ("query", "recall", "value", "log_decay", "initial")
    )
    rate = arguments["remove"].sum(-1).sigmoid()
    expected = theirs(query, recall, value, log_decay, rate, initial_state=initial, output_final_state=True)
    written = rate.unsqueeze(-1) * recall
    decayed = log_decay.exp().unsqueeze(-1) * recall
    ours = delta_scan(query * 4**-0.5, written, value, decayed, written, log_decay, initial, kernel=kernel)
    for name, one, other in zip(("outputs", "final"), ours, expected, strict=True):
        assert_close(name, one, other)


@over_fast
def test_one_decay_a_channel_is_transformers_kimi_delta_rule(kernel):
    arguments = {name: tensor.float() for name, tensor in draw(100, "channel").items()}
    query, recall, value, log_decay, initial = (
        arguments[name] for name in ("query", "recall", "value", "log_decay", "initial")
    )
    rate = arguments["remove"].sum(-1).sigmoid()
    expected = recurrent_kimi_delta_attention(query, recall, value, log_decay, rate, initial, True)
    written, decayed = rate.unsqueeze(-1) * recall, log_decay.exp() * recall
    ours = delta_scan(query * 4**-0.5, written, value, decayed, written, log_decay, initial, kernel=kernel)
    for name, one, other in zip(("outputs", "final"), ours, expected, strict=True):
        assert_close(name, one, other)


@pytest.mark.parametrize("kernel", ["reference", *FAST])
def test_orthonormal_keys_retrieve_exactly_and_a_second_value_replaces_the_first(kernel):
    keys = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    order = torch.tensor([0, 1, 2, 3, 1])
    values = torch.randn(1, 5, 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    key = keys[order].view(1, 5, 1, 4)
    _, memory = delta_scan(key, key, values, key, key, kernel=kernel)
    latest = values[0, [0, 4, 2, 3], 0]
    assert_close("retrieved", keys @ memory[0, 0], latest, quantity="gradient")


@pytest.mark.parametrize("decay", DECAYS)
@over_fast
def test_one_tensor_for_key_and_remove_is_two_equal_ones(kernel, decay):
    arguments = draw(70, decay)
    arguments["remove"] = arguments["recall"] * 0.7
    reset = torch.zeros(2, 70, dtype=torch.bool)
    reset[0, 33] = True
    apart = delta_scan(**{**arguments, "key": arguments["remove"].clone()}, reset=reset, kernel=kernel)
    together = delta_scan(**{**arguments, "key": arguments["remove"]}, reset=reset, kernel=kernel)
    for one, other in zip(together, apart, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@over_fast
def test_an_output_depends_on_its_past_alone_bit_by_bit(kernel, decay, dtype):
    arguments, others = (draw(130, decay, keys=33, values=17, seed=seed) for seed in (0, 1))
    arguments, others = ({name: x.to(dtype) for name, x in each.items()} for each in (arguments, others))
    outputs, _ = delta_scan(**arguments, kernel=kernel)
    for cut in (1, 37, 64, 65, 129):
        changed = {
            name: x if name == "initial" else torch.cat([x[:, :cut], others[name][:, cut:]], 1)
            for name, x in arguments.items()
        }
        assert torch.equal(delta_scan(**changed, kernel=kernel)[0][:, :cut], outputs[:, :cut])


@pytest.mark.parametrize("decay", DECAYS)
def test_gradients_are_those_of_finite_differences_twice(decay):
    arguments = leaves(draw(3, decay, batch=1, heads=1, keys=2, values=2))
    names, tensors = list(arguments), tuple(arguments.values())

    def scan(*tensors):
        return delta_scan(**dict(zip(names, tensors, strict=True)), kernel="chunked")

    assert gradcheck(scan, tensors, fast_mode=True)
    assert gradgradcheck(scan, tensors, fast_mode=True)


@pytest.mark.parametrize("kernel", ["reference", *FAST])
@pytest.mark.parametrize("decay", DECAYS)
def test_no_tokens_and_no_sequences(decay, kernel):
    nothing = draw(0, decay)
    outputs, final = delta_scan(**nothing, kernel=kernel)
    assert outputs.shape == (2, 0, 2, 3)
    assert torch.equal(final, nothing["initial"])
    assert final.data_ptr() != nothing["initial"].data_ptr()
    outputs, final = delta_scan(**draw(5, decay, batch=0), kernel=kernel)
    assert (outputs.shape, final.shape) == ((0, 5, 2, 3), (0, 2, 4, 3))


@pytest.mark.parametrize("kernel", ["reference", *FAST])
def test_half_precision_keeps_a_wide_state(kernel):
    arguments = {name: x.to(torch.float32 if name == "initial" else torch.bfloat16) for name, x in draw(70).items()}
    outputs, final = delta_scan(**arguments, kernel=kernel)
    expected, expected_final = delta_scan(**{name: x.double() for name, x in arguments.items()}, kernel="reference")
    assert (outputs.dtype, final.dtype) == (torch.bfloat16, torch.float32)
    assert_close("outputs", outputs, expected)
    assert_close("final", final, expected_final)


@pytest.mark.parametrize("kernel", ["reference", *FAST])
def test_keys_of_one_head_serve_all_and_strides_do_not_matter(kernel):
    arguments = draw(70, "none")
    shared = {name: arguments[name][:, :, :1] for name in ("query", "key", "recall", "remove")}
    repeated = {name: x.repeat(1, 1, 2, 1) for name, x in shared.items()}
    rest = {"value": arguments["value"].transpose(0, 1).contiguous().transpose(0, 1), "initial": arguments["initial"]}
    for one, other in zip(delta_scan(**shared, **rest, kernel=kernel), delta_scan(**repeated, **rest), strict=True):
        assert one.is_contiguous()
        assert_close("outputs and final", one, other)


def test_steps_are_the_scan():
    arguments = draw(5)
    state, tokens = arguments.pop("initial"), [arguments[name].unbind(1) for name in NAMES[:-1]]
    outputs, final = delta_scan(**arguments, initial=state)
    for t, token in enumerate(zip(*tokens, strict=True)):
        y, state = advance(*token, state)
        assert_close("outputs", y, outputs[:, t])
    assert_close("final", state, final)


def test_it_is_compiled_whole():
    arguments = draw(70, "channel")
    reset = torch.zeros(2, 70, dtype=torch.bool)
    reset[0, 66] = True
    torch._dynamo.reset()
    chunked = partial(delta_scan, kernel="chunked")
    compiled = torch.compile(chunked, fullgraph=True, backend="aot_eager")
    for one, other in zip(compiled(**arguments, reset=reset), chunked(**arguments, reset=reset), strict=True):
        assert_close("outputs and final", one, other)
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"remove": torch.zeros(2, 5, 2, 3)},
            "delta_scan: query and key and recall and remove must have the same shape",
        ),
        ({"value": torch.zeros(2, 5, 3, 3).double()}, r"delta_scan: value must have the shape \(B, T, H, V\)"),
        ({"log_decay": torch.zeros(2, 5)}, r"delta_scan: log_decay must have the shape \(B, T, H\)"),
        ({"log_decay": torch.zeros(2, 5, 2, 3)}, r"delta_scan: log_decay must have the shape \(B, T, H, K\)"),
        ({"initial": torch.zeros(2, 2, 3, 4).double()}, r"delta_scan: initial must have the shape \(B, H, K, V\)"),
        ({"initial": torch.zeros(2, 2, 4, 3)}, "initial must be float64 beside values of float64; it is float32"),
        ({"query": torch.zeros(2, 5, 2, 4)}, "delta_scan: query and key and recall and remove and value must have the"),
        ({"reset": torch.zeros(2, 4, dtype=torch.bool)}, r"delta_scan: reset must have the shape \(B, T\)"),
        ({"reset": torch.zeros(2, 5)}, "delta_scan: reset must be bool"),
        ({"recall": 1.0}, "delta_scan: recall is a float"),
        ({"kernel": "chunk"}, "unknown kernel of delta_scan 'chunk': did you mean chunked?"),
    ],
)
def test_what_does_not_fit_is_said(changed, said):
    with pytest.raises(UsageError, match=said):
        delta_scan(**{**draw(5), **changed})
