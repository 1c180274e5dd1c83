"""Long, narrow sequences, whose time the C++ kernels cut into segments that run side by side."""

import pytest
import torch

from ops.scans import (
    DIAGONAL,
    FORMS,
    GATED,
    ONE_EACH,
    SETS,
    SOFTMAX,
    assert_all_same_bits,
    assert_gradients_close,
    assert_outputs_close,
    by,
    cotangents,
    draw,
    gradients,
    running,
    twin_gradients,
    widened,
)

# B·D ≤ 64 and T ≥ 2048 are cut; see csrc/scan.hpp.
KERNELS = ("cpu portable", SETS[-1])


def assert_agrees(name, scan, expected, grads, kernels=KERNELS):
    outputs, values = expected
    for kernel in kernels:
        with running(kernel) as chosen:
            actual, found = gradients(by(name, chosen), scan, grads)
        assert_outputs_close(name, kernel, actual, outputs)
        assert_gradients_close(name, kernel, found, values, scan.inputs[0].dtype)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    ("shape", "dtype", "extras"),
    [
        ((1, 5000, 4), torch.float32, {"reset": True}),
        ((2, 3000, 5), torch.float32, {"initial": False}),
        ((1, 2048, 1), torch.float64, {"initial": False, "reset": True}),
        ((1, 2048, 1), torch.float64, {}),
        ((1, 2048, 4), torch.bfloat16, {}),
    ],
    ids=str,
)
def test_agrees_with_the_reference(name, shape, dtype, extras):
    if dtype == torch.bfloat16 and "softmax" in name:
        pytest.skip("so many scores tie in bfloat16")
    scan = draw(name, *shape, dtype=dtype, **extras)
    grads = cotangents(name, scan)
    assert_agrees(name, scan, twin_gradients(name, scan, grads), grads)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GATED, *SOFTMAX])
def test_every_variant_agrees(name):
    scan = draw(name, 1, 2050, 6, dtype=torch.float32)
    scan = scan._replace(reset=torch.arange(2050)[None] % 700 == 333)
    grads = cotangents(name, scan)
    assert_agrees(name, scan, twin_gradients(name, scan, grads), grads, SETS)


@pytest.mark.parametrize("name", ONE_EACH)
def test_what_enters_a_segment_reaches_its_other_end(name, set_threads):
    # Decays near 1 throughout, so that a wrong summary shows.
    scan = draw(name, 1, 2048, 3)
    first, *others = scan.inputs
    match name:
        case "linear_scan":
            first = 1 - 1e-3 * first.abs()
        case "min_gru_scan g":
            first = -6 - first.abs()
        case "min_lstm_scan normalised g":
            first, others = -first.abs(), [-6 - first.abs() - others[0].abs(), others[1]]
        case _:
            first = first - 0.008 * torch.arange(2048)[:, None]
    scan = scan._replace(inputs=(first, *others))
    grads = (None, *cotangents(name, scan)[1:])
    outputs, expected = twin_gradients(name, scan, grads)
    assert expected[-1].abs().min() > 1e-4
    assert_agrees(name, scan, (outputs, expected), grads)
    set_threads(1)
    alone = gradients(by(name, "cpu"), scan, grads)
    set_threads(3)
    together = gradients(by(name, "cpu"), scan, grads)
    assert_all_same_bits("three threads", together[0] + together[1], alone[0] + alone[1])


@pytest.mark.parametrize("name", ONE_EACH)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", [0, pytest.param(900, marks=pytest.mark.slow), 1032, 1033, 2900])
def test_what_is_not_finite_spreads_as_in_the_reference_and_not_past_a_reset(name, value, place):
    if name == "softmax_scan" and value == float("inf"):
        pytest.skip("an infinite value fades to NaN where its weight underflows, sooner in a product of weights")
    # Three segments of 1033 steps: from the first, it meets a reset in the second.
    scan = draw(name, 2, 3100, 5, dtype=torch.float32)
    reset = torch.zeros(2, 3100, dtype=torch.bool)
    reset[0, [place // 2, min(3099, place + 700)]] = True
    scan = scan._replace(reset=reset)
    scan.inputs[-1][:, place, 2] = value
    grads = cotangents(name, scan)
    expected = gradients(by(name, "reference"), scan.map(widened), tuple(map(widened, grads)))
    assert not expected[0][0].isfinite().all()
    assert expected[0][0][0, place + 700 :].isfinite().all()
    assert_agrees(name, scan, expected, grads)


@pytest.mark.parametrize("name", DIAGONAL[:2])
def test_a_bad_gradient_spreads_as_in_the_reference_and_not_past_a_reset(name):
    scan = draw(name, 1, 3100, 3, dtype=torch.float32)
    scan = scan._replace(reset=torch.arange(3100)[None] == 1200)
    grads = cotangents(name, scan)
    grads[0][0, 2100, 1] = float("nan")
    expected = gradients(by(name, "reference"), scan.map(widened), tuple(map(widened, grads)))
    assert expected[1][0][:, :1200].isfinite().all()
    assert_agrees(name, scan, expected, grads)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_product_of_decays_may_overflow_where_no_state_does(kernel):
    scan = draw("linear_scan", 1, 4096, 2, dtype=torch.float32)
    decay, drive = scan.inputs
    # A segment's product is 2^1024; the state is 0 for the first channel, and tiny, then cut, for the second.
    decay[:, :3000], drive[:, :3000] = 2, 0
    decay[:, 1000, 1] = 0
    scan.initial[0][:] = torch.tensor([0.0, 1e-30])
    decay[:, 64:1000, 1] = 0.5
    grads = cotangents("linear_scan", scan)
    grads[0][:, :3000], decay[:, 3000] = 0, 0
    expected = twin_gradients("linear_scan", scan, grads)
    assert all(each.isfinite().all() for pair in expected for each in pair)
    assert_agrees("linear_scan", scan, expected, grads, [kernel])


@pytest.mark.parametrize("name", ONE_EACH)
@pytest.mark.parametrize("kernel", KERNELS)
def test_what_came_before_a_reset_changes_no_bit_after_it(name, kernel):
    scan = draw(name, 1, 4000, 4, dtype=torch.float32)
    scan = scan._replace(reset=torch.arange(4000)[None] == 1700)
    with running(kernel) as chosen:
        clean, on_clean = gradients(by(name, chosen), scan, cotangents(name, scan))
        for each in scan.inputs:
            each[:, 1600] = float("nan")
        dirty, on_dirty = gradients(by(name, chosen), scan, cotangents(name, scan))
    after = len(scan.inputs)
    assert dirty[0][:, 1600:1700].isnan().all()
    assert_all_same_bits("after the reset", dirty[1:], clean[1:])
    assert_all_same_bits("after the reset", (dirty[0][:, 1700:],), (clean[0][:, 1700:],))
    late = [each[:, 1700:] for each in on_dirty[:after]], [each[:, 1700:] for each in on_clean[:after]]
    assert_all_same_bits("gradients after the reset", *late)
