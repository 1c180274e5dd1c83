"""What holds of the linear scan's gradients alone: every order, complex numbers, and the reference's bits."""

import pytest
import torch

from ops.scans import CPU, TRITON, assert_all_same_bits, by, cotangents, draw, gradients, running
from statewise.ops import linear_scan
from statewise.ops.linear_scan.reference import linear_scan as reference

EXTRAS = [{}, {"initial": False}, {"reset": True}]


def of_leaves(reset, kernel):
    """The scan as a function of decay, drive and, where there is one, initial."""
    return lambda decay, drive, initial=None: linear_scan(decay, drive, initial, reset=reset, kernel=kernel)


@pytest.mark.parametrize("kernel", ["reference", "cpu portable", CPU[-1], TRITON])
@pytest.mark.parametrize("extras", EXTRAS, ids=str)
def test_second_order_matches_finite_differences(kernel, extras):
    for length in (0, 1) if kernel == "triton" else (0, 1, 5):
        scan = draw("linear_scan", 2, length, 2, **extras)
        leaves = [each.requires_grad_() for each in scan.leaves()]
        with running(kernel) as chosen:
            assert torch.autograd.gradgradcheck(of_leaves(scan.reset, chosen), leaves)


@pytest.mark.parametrize("kernel", ["reference", "cpu portable", CPU[-1]])
@pytest.mark.parametrize("extras", EXTRAS, ids=str)
def test_complex_scans_match_finite_differences(kernel, extras):
    scan = draw("linear_scan", 2, 4, 2, dtype=torch.complex128, **extras)
    leaves = [each.requires_grad_() for each in scan.leaves()]
    with running(kernel) as chosen:
        assert torch.autograd.gradcheck(of_leaves(scan.reset, chosen), leaves)
        assert torch.autograd.gradgradcheck(of_leaves(scan.reset, chosen), leaves)


@pytest.mark.parametrize("kernel", [*CPU, TRITON])
def test_third_order_matches_the_power_that_the_scan_is(kernel):
    # With one decay a, no drive and h_0 = 1, the final state after 4 tokens is a^4.
    decay = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    zeros = torch.zeros(1, 4, 1, dtype=torch.float64)
    found = []
    with running(kernel) as chosen:
        _, value = linear_scan(decay.expand(1, 4, 1), zeros, zeros[:, 0] + 1, kernel=chosen)
        for _ in range(4):
            found.append(value.item())
            (value,) = torch.autograd.grad(value.sum(), decay, create_graph=True)
    assert found == [0.5**4, 4 * 0.5**3, 12 * 0.5**2, 24 * 0.5]


@pytest.mark.parametrize("kernel", CPU)
def test_what_is_not_finite_spreads_with_the_references_bits(kernel):
    scan = draw("linear_scan", 2, 20, 6, dtype=torch.float32, reset=True)
    (decay, drive), (on_states, on_final) = scan.inputs, cotangents("linear_scan", scan)
    decay[0, 3, 0], drive[0, 3, 1], on_states[1, 9, 2] = float("inf"), float("nan"), -float("inf")
    on_final[1, 3] = float("nan")
    with running(kernel) as chosen:
        _, found = gradients(by("linear_scan", chosen), scan, (on_states, on_final))
    _, expected = gradients(
        lambda inputs, initial, reset: reference(*inputs, *initial, reset), scan, (on_states, on_final)
    )
    assert not all(each.isfinite().all() for each in expected)
    assert_all_same_bits("gradients", found, expected)


def test_a_hessian_is_symmetric():
    (decay, drive), (initial,), _ = draw("linear_scan", 1, 4, 2)

    def loss(value):
        return linear_scan(value, drive, initial)[0].square().sum()

    hessian = torch.func.jacrev(torch.func.jacrev(loss))(decay).reshape(8, 8)
    torch.testing.assert_close(hessian, hessian.T)
    assert hessian.abs().max() > 0


# While it traces an autograd.Function, torch does what it has deprecated.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiling_a_functional_gradient_is_refused_rather_than_wrong():
    torch._dynamo.reset()
    decay, drive = draw("linear_scan", 1, 4, 2).inputs
    compiled = torch.compile(torch.func.grad(lambda value: linear_scan(value, drive)[0].sum()), backend="eager")
    try:
        found = compiled(decay)
    except RuntimeError as error:
        assert "setup_context" in str(error)  # noqa: PT017
    else:
        assert torch.equal(found, torch.func.grad(lambda value: linear_scan(value, drive)[0].sum())(decay))


def test_neither_the_drive_nor_the_final_state_is_kept():
    (decay, drive), (initial,), _ = draw("linear_scan", 2, 7, 3)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda value: kept.append(value) or value, lambda value: value):
        states, _ = linear_scan(decay.requires_grad_(), drive.requires_grad_(), initial)
    assert [value.data_ptr() for value in kept] == [value.data_ptr() for value in (decay, states, initial)]
