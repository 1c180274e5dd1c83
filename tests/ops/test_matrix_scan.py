"""The matrix scan: the chunked form against the loop, the loop against a sum over pairs written out."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.core.random import seeded
from statewise.ops import matrix_scan
from statewise.ops.matrix_scan import reference
from statewise.ops.matrix_scan.raw import backward_op, forward_op
from statewise.testing import assert_close

DECAYS = ("none", "heads", "channels", "strong", "with zeros")
FAST = ("chunked", "cpu", "cpu-portable")


def draw(shape, decay, *, reset=False, dtype=torch.float64):
    """query, key, value, log_decay, initial, reset of (B, T, H, K, V)."""
    batch, length, heads, keys, values = shape
    with seeded(0):
        query, key, value = (torch.randn(batch, length, heads, n, dtype=dtype) for n in (keys, keys, values))
        rates = -torch.rand(batch, length, heads, keys, dtype=dtype)
        zeros = torch.rand(rates.shape) < 0.1
        log_decay = {
            "none": None,
            "heads": rates.mean(-1),
            "channels": rates,
            "strong": 60 * rates,
            "with zeros": rates.masked_fill(zeros, -torch.inf),
        }[decay]
        initial = torch.randn(batch, heads, keys, values, dtype=torch.promote_types(dtype, torch.float32))
        return query, key, value, log_decay, initial, (torch.rand(batch, length) < 0.1) if reset else None


def run(kernel, arguments):
    """Outputs, final, and gradients of everything given from random cotangents."""
    *tensors, reset = arguments
    asked = [each if each is None else each.detach().clone().requires_grad_() for each in tensors]
    outputs, final = matrix_scan(*asked, reset=reset, kernel=kernel)
    with seeded(1):
        ends = [(end * torch.randn(end.shape, dtype=end.dtype)).sum() for end in (outputs, final)]
    given = [each for each in asked if each is not None]
    return outputs, final, *torch.autograd.grad(sum(ends), given, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("length", [1, 31, 32, 33, 64, 65, 130])
@pytest.mark.parametrize("kernel", FAST)
def test_every_kernel_is_the_loop(kernel, length, decay, reset):
    arguments = draw((2, length, 2, 3, 5), decay, reset=reset)
    names = ("outputs", "final", *(f"gradient {i}" for i in range(5)))
    for name, fast, loop in zip(names, run(kernel, arguments), run("reference", arguments), strict=False):
        assert_close(name, fast, loop)


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("kernel", FAST)
def test_float32_keeps_its_digits_over_many_chunks(kernel, decay):
    wide = draw((1, 700, 2, 4, 4), decay)
    narrow = [None if each is None else each.float() for each in wide]
    runs = matrix_scan(*narrow[:5], kernel=kernel), matrix_scan(*wide[:5])
    for name, ours, exact in zip(("outputs", "final"), *runs, strict=True):
        assert_close(name, ours, exact)


@pytest.mark.parametrize("shape", [(1, 70, 1, 5, 200), (1, 40, 3, 4, 130), (4, 33, 2, 3, 96), (1, 5, 1, 2, 65)])
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("kernel", ["cpu", "cpu-portable"])
def test_wide_values_are_taken_in_blocks(kernel, shape, reset):
    arguments = draw(shape, "channels", reset=reset)
    for name, fast, loop in zip("of01234", run(kernel, arguments), run("reference", arguments), strict=True):
        assert_close(name, fast, loop)


@pytest.mark.parametrize("empty", [0, 1, 2, 3, 4])
def test_an_axis_of_no_size_gives_nothing_and_gradients_of_zero(empty):
    shape = [2, 3, 2, 4, 5]
    shape[empty] = 0
    for each in run("cpu", draw(tuple(shape), "channels")):
        assert each.numel() == 0 or bool(each.isfinite().all())


def test_the_loop_is_the_sum_over_pairs():
    query, key, value, log_decay, initial, _ = draw((1, 6, 1, 2, 3), "channels")
    outputs, final = matrix_scan(query, key, value, log_decay, initial, kernel="reference")
    decay = log_decay.exp()
    for t in range(6):
        kept = decay[0, : t + 1, 0].prod(0)
        expected = (query[0, t, 0] * kept) @ initial[0, 0]
        for s in range(t + 1):
            weight = decay[0, s + 1 : t + 1, 0].prod(0)
            expected = expected + (query[0, t, 0] * weight * key[0, s, 0]).sum() * value[0, s, 0]
        assert_close(f"output {t}", outputs[0, t, 0], expected)
    assert final.shape == (1, 1, 2, 3)


@pytest.mark.parametrize("kernel", [*FAST, "reference"])
def test_shared_queries_and_keys_are_as_if_repeated(kernel):
    query, key, value, log_decay, initial, reset = draw((2, 40, 3, 4, 2), "heads", reset=True)
    query, key = (each[:, :, :1].clone().requires_grad_() for each in (query, key))
    shared = matrix_scan(query, key, value, log_decay, initial, reset=reset, kernel=kernel)
    repeated = [each.expand(-1, -1, 3, -1) for each in (query, key)]
    full = matrix_scan(*repeated, value, log_decay, initial, reset=reset, kernel=kernel)
    grads = [torch.autograd.grad(outputs.sin().sum(), (query, key)) for outputs, _ in (shared, full)]
    for one, other in zip((*shared, *grads[0]), (*full, *grads[1]), strict=True):
        assert_close("shared", one, other)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(1, 3), st.integers(0, 70), *[st.integers(1, 5)] * 3]), st.sampled_from(DECAYS))
def test_any_shape(shape, decay):
    arguments = draw(shape, decay, reset=True)
    loop = run("reference", arguments)
    for kernel in FAST:
        for name, fast, exact in zip("of", run(kernel, arguments), loop, strict=False):
            assert_close(name, fast, exact)


@pytest.mark.parametrize("kernel", [*FAST, "reference"])
@pytest.mark.parametrize("decay", ["none", "heads", "channels"])
def test_gradcheck(kernel, decay):
    query, key, value, log_decay, initial, _ = draw((1, 5, 1, 2, 2), decay)
    tensors = [None if each is None else each.requires_grad_() for each in (query, key, value, log_decay, initial)]
    reset = torch.tensor([[False, False, False, True, False]])
    assert torch.autograd.gradcheck(lambda *each: matrix_scan(*each, reset=reset, kernel=kernel), tensors)


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("kernel", FAST)
def test_a_later_token_changes_no_earlier_bit(kernel, decay):
    tensors = draw((2, 100, 2, 4, 3), decay, dtype=torch.float32)
    changed = [None if each is None else each.clone() for each in tensors[:4]]
    for each in changed:
        if each is not None:
            each[:, 50:] -= 1
    before, after = (matrix_scan(*each, tensors[4], kernel=kernel)[0][:, :50] for each in (tensors[:4], changed))
    assert torch.equal(before, after)


@pytest.mark.parametrize("decay", ["none", "heads", "channels"])
@pytest.mark.parametrize("kernel", FAST)
def test_nothing_crosses_a_reset_and_no_tokens_change_nothing(kernel, decay):
    *tensors, initial, _ = draw((1, 40, 1, 2, 2), decay)
    reset = torch.zeros(1, 40, dtype=torch.bool)
    reset[:, 17] = True
    value = tensors[2].requires_grad_()
    outputs, final = matrix_scan(*tensors, initial, reset=reset, kernel=kernel)
    (grad,) = torch.autograd.grad(outputs[:, 17:].sum() + final.sum(), value)
    assert not grad[:, :17].any()
    assert bool(grad[:, 17:].any())
    empty = [None if each is None else each[:, :0] for each in tensors]
    outputs, final = matrix_scan(*empty, initial, kernel=kernel)
    assert outputs.shape == (1, 0, 1, 2)
    assert torch.equal(final, initial)


@pytest.mark.parametrize("kernel", FAST)
def test_bfloat16_keeps_its_state_in_float32(kernel):
    tensors = draw((1, 50, 2, 4, 4), "heads", dtype=torch.bfloat16)
    outputs, final = matrix_scan(*tensors[:5], kernel=kernel)
    assert (outputs.dtype, final.dtype) == (torch.bfloat16, torch.float32)
    exact = reference.matrix_scan(*(each.float() for each in tensors[:5]))
    assert_close("outputs", outputs, exact[0])
    assert_close("final", final, exact[1])


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("kernel", ["chunked", "cpu"])
def test_vmap_and_compile_see_through(kernel):
    *tensors, _ = draw((2, 40, 2, 3, 3), "heads")
    scan = partial(matrix_scan, kernel=kernel)
    plain = scan(*tensors)
    mapped = torch.func.vmap(lambda *each: scan(*(one[None] for one in each)))(*tensors)
    compiled = torch.compile(scan, fullgraph=True, backend="aot_eager")(*tensors)
    for one, other, third in zip(plain, mapped, compiled, strict=True):
        assert_close("mapped", other[:, 0], one)
        assert_close("compiled", third, one)


def test_the_operators_keep_torchs_contracts():
    query, key, value, log_decay, initial, reset = draw((2, 40, 2, 3, 5), "channels", reset=True)
    arguments = (query, key, value, None, None, log_decay.exp())
    torch.library.opcheck(forward_op, (*arguments, initial, reset, "cpu"))
    outputs, final, kept = forward_op(*arguments, initial, reset, "cpu")
    torch.library.opcheck(backward_op, (*arguments, reset, kept, outputs, final, "cpu"))


def test_bits_do_not_depend_on_threads():
    arguments = draw((1, 100, 2, 16, 130), "channels")
    before, runs = torch.get_num_threads(), []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        runs.append(run("cpu", arguments))
    torch.set_num_threads(before)
    for one, other in zip(runs[0] * 2, runs[1] + runs[2], strict=True):
        assert torch.equal(one, other)


def test_second_derivatives_are_refused_by_the_kernel_and_had_from_chunks():
    *tensors, _ = draw((1, 5, 1, 2, 2), "heads")
    asked = [each.requires_grad_() for each in tensors]
    (grad,) = torch.autograd.grad(matrix_scan(*asked)[0].sum(), asked[0], create_graph=True)
    with pytest.raises(ValueError, match='kernel="chunked", which has them'):
        torch.autograd.grad(grad.sum(), asked[1])
    assert torch.autograd.gradgradcheck(lambda *each: matrix_scan(*each, kernel="chunked"), asked)


def test_what_no_kernel_takes_goes_through_chunks():
    token = torch.ones(1, 4, 2, 3, dtype=torch.float16)
    assert matrix_scan(token, token, token)[0].dtype == torch.float16
    with pytest.raises(ValueError, match=r"kernel 'cpu' does not take torch\.float16 on cpu"):
        matrix_scan(token, token, token, kernel="cpu")


WRONG = {
    "query and key must have the same shape": {"key": (1, 4, 2, 4)},
    r"value must have the shape \(B, T, H, V\).\n  value   \(1, 5, 2, 3\)\n  needed  \(1, 4, 2, 3\)": {
        "value": (1, 5, 2, 3)
    },
    r"log_decay must have the shape \(B, T, H\).\n  log_decay  \(1, 4\)": {"log_decay": (1, 4)},
    r"log_decay must have the shape \(B, T, H, K\)": {"log_decay": (1, 4, 2, 5)},
    r"initial must have the shape \(B, H, K, V\)": {"initial": (1, 2, 3)},
    r"reset must have the shape \(B, T\)": {"reset": (1, 5)},
}


@pytest.mark.parametrize("message", WRONG)
def test_what_does_not_fit_is_refused(message):
    shapes = {"query": (1, 4, 2, 3), "key": (1, 4, 2, 3), "value": (1, 4, 2, 3), **WRONG[message]}
    tensors = {
        name: torch.zeros(shape, dtype=torch.bool if name == "reset" else None) for name, shape in shapes.items()
    }
    with pytest.raises(ValueError, match=f"matrix_scan: {message}"):
        matrix_scan(**tensors)


def test_dtypes_and_kernels_that_do_not_fit_are_refused():
    token = torch.zeros(1, 4, 2, 3)
    with pytest.raises(ValueError, match="initial must be float32 beside values of float32; it is float64"):
        matrix_scan(token, token, token, initial=torch.zeros(1, 2, 3, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="query and key and value must have the same real floating-point dtype"):
        matrix_scan(token, token, token.double())
    with pytest.raises(
        ValueError, match="unknown kernel of matrix_scan 'triton': there are chunked, cpu, cpu-portable, reference"
    ):
        matrix_scan(token, token, token, kernel="triton")
