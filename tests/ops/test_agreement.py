"""Every member, on every kernel and in every dtype, agrees with its reference in float64: values and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.scans import (
    CPU,
    FORMS,
    GATED,
    ONE_EACH,
    PACKED,
    RECURRENCES,
    SOFTMAX,
    TRITON,
    TRITON_ON_LITTLE,
    assert_gradients_close,
    assert_outputs_close,
    by,
    cotangents,
    draw,
    gradients,
    running,
    twin,
    twin_gradients,
)

MEMBERS = [(name, dtype) for name, member in RECURRENCES.items() for dtype in member.dtypes]
SIZES = ((0, 3), (1, 1), (1, 257), (2, 64), (63, 3), (63, 257), (200, 1), (200, 64))
"""(T, D) around what vectors and cache lines hold."""
LONG = [pytest.param(500, channels, marks=pytest.mark.slow) for channels in (1, 64)]


def assert_agrees(name, scan, kernels, used=None):
    """Outputs and gradients by each kernel against the reference's; from the outputs numbered in `used` alone."""
    grads = cotangents(name, scan)
    grads = tuple(grad if used is None or i in used else None for i, grad in enumerate(grads))
    expected, expected_gradients = twin_gradients(name, scan, grads)
    # A state that softmax_scan keeps wider than its inputs is still made of them, and its gradients of its outputs.
    dtype = scan.inputs[0].dtype
    for kernel in kernels:
        with running(kernel) as chosen:
            outputs, found = gradients(by(name, chosen), scan, grads)
        assert_outputs_close(name, kernel, outputs, expected)
        assert_gradients_close(name, kernel, found, expected_gradients, dtype)
        assert all(each.is_contiguous() for each in outputs)


@pytest.mark.parametrize(("name", "dtype"), MEMBERS, ids=str)
@pytest.mark.parametrize(("length", "channels"), [*SIZES, *LONG])
def test_at_every_size(name, dtype, length, channels):
    # Five short sequences, not two: a lone gradient may be the small difference of large terms.
    batch = 5 if length < 63 else 2
    assert_agrees(name, draw(name, batch, length, channels, dtype=dtype, reset=True), CPU)


@pytest.mark.parametrize("name", RECURRENCES)
@pytest.mark.parametrize(("initial", "reset"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize("length", [0, 1, 40])
def test_without_initial_state_or_resets(name, length, initial, reset):
    scan = draw(name, 5, length, 20, dtype=torch.float32, initial=initial, reset=reset)
    assert_agrees(name, scan, CPU)


@pytest.mark.parametrize("name", RECURRENCES)
@pytest.mark.parametrize("length", [1, 7])
def test_with_gradients_from_one_output_alone(name, length):
    scan = draw(name, 5, length, 20, dtype=torch.float32, reset=True)
    for used in range(len(RECURRENCES[name].outputs)):
        assert_agrees(name, scan, CPU, used={used})


@pytest.mark.parametrize("name", FORMS)
@given(
    shape=st.tuples(st.integers(0, 5), st.integers(0, 12), st.integers(0, 40)),
    kernel=st.sampled_from(CPU),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    initial=st.booleans(),
    resets=st.none() | st.integers(0, 2**60),
)
@settings(deadline=None, max_examples=30, derandomize=True, database=None)
def test_at_any_shape(name, shape, kernel, dtype, initial, resets):
    scan = draw(name, *shape, dtype=dtype, initial=initial)
    if resets is not None:
        bits = torch.tensor([resets >> place & 1 for place in range(60)], dtype=torch.bool)
        scan = scan._replace(reset=bits[: shape[0] * shape[1]].view(shape[:2]))
    outputs = twin(name, scan)
    with running(kernel) as chosen:
        assert_outputs_close(name, kernel, RECURRENCES[name](scan, chosen), outputs)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, torch.float32) for name in ("linear_scan", *SOFTMAX, *GATED)),
        *((name, dtype) for name in ONE_EACH for dtype in (torch.bfloat16, torch.float16, torch.float64)),
    ],
    ids=str,
)
@pytest.mark.parametrize("kernel", [TRITON])
def test_in_triton(name, kernel, dtype):
    assert_agrees(name, draw(name, 2, 9, 20, dtype=dtype, reset=True), [kernel])


@pytest.mark.parametrize("name", ONE_EACH)
@pytest.mark.parametrize("kernel", [TRITON])
def test_in_triton_where_time_is_cut(name, kernel):
    # Into two segments of 65 steps, the second with a reset.
    scan = draw(name, 1, 130, 5, dtype=torch.float32)
    assert_agrees(name, scan._replace(reset=torch.arange(130)[None] == 100), [kernel])


@pytest.mark.parametrize("kernel", [TRITON])
def test_in_triton_where_time_is_cut_without_resets(kernel):
    assert_agrees("linear_scan", draw("linear_scan", 1, 130, 5, dtype=torch.float32), [kernel])


@pytest.mark.parametrize("name", [*ONE_EACH, *PACKED])
@pytest.mark.parametrize("kernel", [TRITON_ON_LITTLE])
@pytest.mark.parametrize("shape", [(2, 0, 3), (0, 2, 3), (3, 1, 1), (2, 3, 17)])
def test_in_triton_at_any_shape(name, kernel, shape):
    assert_agrees(name, draw(name, *shape, dtype=torch.float32, initial=False), [kernel])
