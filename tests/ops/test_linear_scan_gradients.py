"""Laws of the linear scan's gradients, of first and higher order, over every kernel."""

import pytest
import torch

from ops.scans import KERNELS, SIZES, cotangents, draw, gradients, twin_gradients
from statewise.ops import linear_scan
from statewise.ops.linear_scan.reference import linear_scan as reference
from tolerances import assert_close, assert_same_bits

EXTRAS = [{}, {"initial": False}, {"reset": True}]


def scan_with(kernel):
    """The front door as a function of (decay, drive, initial, reset)."""
    return lambda decay, drive, initial, reset: linear_scan(decay, drive, initial, reset=reset, kernel=kernel)


def assert_gradients_close(actual, expected, kernel="the scan"):
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        assert_close(f"{kernel}: gradient of {name}", value, expected[name], quantity="gradient")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("extras", EXTRAS, ids=str)
@pytest.mark.parametrize(("length", "channels"), SIZES)
def test_agree_with_autograd_through_the_reference_in_float64(dtype, extras, length, channels):
    scan = draw(2, length, channels, dtype=dtype, **extras)
    grads = cotangents(scan)
    expected = twin_gradients(scan, grads)
    for kernel in KERNELS:
        assert_gradients_close(gradients(scan_with(kernel), scan, grads), expected, kernel)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("used", ["states", "final"])
@pytest.mark.parametrize("length", [1, 7])
def test_flow_from_one_output_alone(kernel, used, length):
    scan = draw(3, length, 5, dtype=torch.float32, reset=True)
    on_states, on_final = cotangents(scan)
    grads = (on_states, None) if used == "states" else (None, on_final)
    assert_gradients_close(gradients(scan_with(kernel), scan, grads), twin_gradients(scan, grads))


@pytest.mark.parametrize("kernel", KERNELS)
def test_reach_the_initial_state_where_there_is_no_token(kernel):
    scan = draw(2, 0, 3, reset=True)
    grads = cotangents(scan)
    found = gradients(scan_with(kernel), scan, grads)
    assert torch.equal(found["initial"], grads[1])
    assert found["decay"].shape == found["drive"].shape == (2, 0, 3)


@pytest.mark.parametrize("kernel", KERNELS)
def test_arrive_at_any_strides(kernel):
    scan = draw(3, 9, 6, dtype=torch.float32)
    one = torch.tensor(0.5)
    on_states, on_final = cotangents(scan)
    for grads in (
        (one.expand(3, 9, 6), one.expand(3, 6)),
        (on_states[:1].expand(3, 9, 6), on_final[:1].expand(3, 6)),
        (on_states.transpose(1, 2).contiguous().transpose(1, 2), on_final.T.contiguous().T),
        (on_states.transpose(0, 1).contiguous().transpose(0, 1), on_final),
    ):
        assert_gradients_close(gradients(scan_with(kernel), scan, grads), twin_gradients(scan, grads))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("extras", EXTRAS, ids=str)
@pytest.mark.parametrize("length", [0, 1, 5])
def test_of_first_and_second_order_match_finite_differences(kernel, extras, length):
    *leaves, reset = draw(2, length, 2, **extras)
    leaves = [leaf.requires_grad_() for leaf in leaves if leaf is not None]

    def scan(decay, drive, initial=None):
        return linear_scan(decay, drive, initial, reset=reset, kernel=kernel)

    assert torch.autograd.gradcheck(scan, leaves)
    assert torch.autograd.gradgradcheck(scan, leaves)


@pytest.mark.parametrize("extras", EXTRAS, ids=str)
def test_of_complex_scans_match_finite_differences(extras):
    real, imaginary = draw(2, 4, 2, **extras), draw(2, 4, 2, seed=5, **extras)
    leaves = [
        torch.complex(a, b).requires_grad_() for a, b in zip(real[:3], imaginary[:3], strict=True) if a is not None
    ]

    def scan(decay, drive, initial=None):
        return linear_scan(decay, drive, initial, reset=real.reset)

    assert torch.autograd.gradcheck(scan, leaves)
    assert torch.autograd.gradgradcheck(scan, leaves)


@pytest.mark.parametrize("kernel", KERNELS)
def test_of_third_order_match_the_power_that_the_scan_is(kernel):
    # With one decay a, no drive and h_0 = 1, the final state after 4 tokens is a^4.
    decay = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    zeros = torch.zeros(1, 4, 1, dtype=torch.float64)
    _, value = linear_scan(decay.expand(1, 4, 1), zeros, zeros[:, 0] + 1, kernel=kernel)
    found = []
    for _ in range(4):
        found.append(value.item())
        (value,) = torch.autograd.grad(value.sum(), decay, create_graph=True)
    assert found == [0.5**4, 4 * 0.5**3, 12 * 0.5**2, 24 * 0.5]


@pytest.mark.parametrize("kernel", KERNELS)
def test_do_not_cross_a_reset(kernel):
    scan = draw(1, 12, 4, dtype=torch.float32)
    reset = torch.zeros(1, 12, dtype=torch.bool)
    reset[:, 6] = True
    scan = scan._replace(reset=reset)
    on_states, on_final = cotangents(scan)
    clean = gradients(scan_with(kernel), scan, (on_states, on_final))
    # A state that is not finite before the reset, and a gradient that is not finite after it.
    scan.drive[:, 5] = float("nan")
    on_states[:, 8] = float("inf")
    dirty = gradients(scan_with(kernel), scan, (on_states, on_final))
    assert not dirty["drive"][:, 6:9].isfinite().any()
    assert_same_bits("drive before the reset", dirty["drive"][:, :6], clean["drive"][:, :6])
    assert_same_bits("decay before the reset", dirty["decay"][:, :6], clean["decay"][:, :6])
    assert_same_bits("decay after the bad gradient", dirty["decay"][:, 9:], clean["decay"][:, 9:])
    assert_same_bits("initial", dirty["initial"], clean["initial"])


@pytest.mark.parametrize("kernel", KERNELS)
def test_that_are_not_finite_spread_as_in_the_reference(kernel):
    scan = draw(2, 20, 6, dtype=torch.float32, reset=True)
    on_states, on_final = cotangents(scan)
    scan.decay[0, 3, 0], scan.drive[0, 3, 1], on_states[1, 9, 2] = float("inf"), float("nan"), -float("inf")
    on_final[1, 3] = float("nan")
    actual = gradients(scan_with(kernel), scan, (on_states, on_final))
    expected = gradients(reference, scan, (on_states, on_final))
    for name in expected:
        assert not expected[name].isfinite().all()
        assert_same_bits(f"gradient of {name}", actual[name], expected[name])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_of_narrow_dtypes_accumulate_in_float32(dtype):
    scan = draw(2, 63, 5, dtype=dtype, reset=True)
    grads = cotangents(scan)
    assert_gradients_close(gradients(scan_with(None), scan, grads), twin_gradients(scan, grads))
    ones = torch.ones(1, 600, 1, dtype=dtype)
    scan = scan._replace(decay=ones, drive=ones, initial=ones[:, 0], reset=None)
    on_initial = gradients(scan_with(None), scan, (ones * 0.125, None))["initial"]
    assert on_initial.item() == 75.0


def test_need_neither_the_drive_nor_the_final_state():
    decay, drive, initial, _ = draw(2, 7, 3)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda value: kept.append(value) or value, lambda value: value):
        states, _ = linear_scan(decay.requires_grad_(), drive.requires_grad_(), initial)
    assert [value.data_ptr() for value in kept] == [value.data_ptr() for value in (decay, states, initial)]
