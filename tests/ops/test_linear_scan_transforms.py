"""The linear scan under torch.compile, torch.export and torch.func."""

import pytest
import torch

from ops.scans import KERNELS, cotangents, draw, gradients, twin
from statewise.core.errors import UsageError
from statewise.ops import linear_scan
from statewise.ops.linear_scan.raw import backward_op, forward_op

# While it traces an autograd.Function, torch does what it has deprecated.
compiling = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


class Doubled(torch.nn.Module):
    """A model made of one scan."""

    def forward(self, decay, drive, initial, reset):
        states, final = linear_scan(decay, drive, initial, reset=reset)
        return 2 * states, final


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("extras", [{}, {"initial": False, "reset": True}], ids=str)
def test_the_raw_operators_pass_torchs_own_check(kernel, extras):
    scan = draw(2, 5, 3, **extras)
    states, _ = twin(scan)
    on_states, on_final = cotangents(scan)
    torch.library.opcheck(forward_op, (*scan, kernel))
    torch.library.opcheck(backward_op, (scan.decay, states, scan.initial, scan.reset, on_states, on_final, kernel))
    torch.library.opcheck(backward_op, (scan.decay, states, scan.initial, scan.reset, None, on_final, kernel))


@compiling
def test_compiles_whole_and_keeps_its_gradients():
    torch._dynamo.reset()
    compiled = torch.compile(Doubled(), fullgraph=True, backend="aot_eager")
    for length in (5, 6, 7):
        scan = draw(2, length, 3, reset=True)
        grads = cotangents(scan)
        actual, expected = gradients(compiled, scan, grads), gradients(Doubled(), scan, grads)
        for name in expected:
            assert torch.equal(actual[name], expected[name])


@compiling
@pytest.mark.parametrize("strict", [True, False])
def test_exports_with_a_length_that_varies(strict):
    length = torch.export.Dim("length", min=2)
    shapes = ({1: length}, {1: length}, None, {1: length})
    exported = torch.export.export(Doubled(), tuple(draw(2, 5, 3, reset=True)), dynamic_shapes=shapes, strict=strict)
    calls = [node.target for node in exported.graph.nodes if node.op == "call_function"]
    assert torch.ops.statewise.linear_scan.default in calls
    other = draw(2, 9, 3, reset=True, seed=3)
    for actual, expected in zip(exported.module()(*other), Doubled()(*other), strict=True):
        assert torch.equal(actual, expected)


def test_functional_gradients_are_autograds():
    scan = draw(2, 5, 3, reset=True)
    grads = cotangents(scan)

    def loss(decay, drive, initial):
        outputs = linear_scan(decay, drive, initial, reset=scan.reset)
        return sum((output * grad).sum() for output, grad in zip(outputs, grads, strict=True))

    found = torch.func.grad(loss, argnums=(0, 1, 2))(*scan[:3])
    expected = gradients(lambda *leaves: linear_scan(*leaves[:3], reset=leaves[3]), scan, grads)
    for actual, value in zip(found, expected.values(), strict=True):
        assert torch.equal(actual, value)


def test_a_hessian_is_symmetric():
    decay, drive, initial, _ = draw(1, 4, 2)

    def loss(value):
        return linear_scan(value, drive, initial)[0].square().sum()

    hessian = torch.func.jacrev(torch.func.jacrev(loss))(decay).reshape(8, 8)
    torch.testing.assert_close(hessian, hessian.T)
    assert hessian.abs().max() > 0


@pytest.mark.parametrize("in_dims", [(0, 0, 0, 0), (None, 1, None, None), (3, None, 2, None), (2, 0, None, 1)])
def test_vmap_equals_a_loop(in_dims):
    scans = [draw(2, 5, 3, reset=True, seed=seed) for seed in range(4)]
    one = scans[0]
    columns = [
        one[i] if dim is None else torch.stack([scan[i] for scan in scans], dim) for i, dim in enumerate(in_dims)
    ]
    states, final = torch.func.vmap(Doubled(), in_dims)(*columns)
    for i, scan in enumerate(scans):
        single = [one[j] if dim is None else scan[j] for j, dim in enumerate(in_dims)]
        expected_states, expected_final = Doubled()(*single)
        assert torch.equal(states[i], expected_states)
        assert torch.equal(final[i], expected_final)


@pytest.mark.parametrize("batch", [0, 2])
def test_gradients_under_vmap_equal_a_loop(batch):
    decay, drive, initial, _ = draw(4 * batch, 5, 3)

    def loss(*leaves):
        states, final = linear_scan(*leaves)
        return states.square().sum() + final.sum()

    columns = [value.unflatten(0, (4, batch)) for value in (decay, drive, initial)]
    found = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1, 2)))(*columns)
    expected = torch.func.grad(loss, argnums=(0, 1, 2))(decay, drive, initial)
    for actual, value in zip(found, expected, strict=True):
        assert torch.equal(actual.flatten(0, 1), value)


# torch deprecates what its own forward mode is written with.
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_forward_mode_is_refused_rather_than_zero():
    decay, drive, *_ = draw(1, 4, 2)
    with pytest.raises(UsageError, match=r"forward-mode derivatives .* are not available"):
        torch.func.jvp(lambda value: linear_scan(value, drive), (decay,), (decay,))
    with torch.autograd.forward_ad.dual_level(), pytest.raises(UsageError, match="Use reverse mode"):
        linear_scan(torch.autograd.forward_ad.make_dual(decay, decay), drive)


@compiling
def test_compiling_a_functional_gradient_is_refused_rather_than_wrong():
    torch._dynamo.reset()
    decay, drive, *_ = draw(1, 4, 2)
    compiled = torch.compile(torch.func.grad(lambda value: linear_scan(value, drive)[0].sum()), backend="eager")
    try:
        found = compiled(decay)
    except RuntimeError as error:
        assert "setup_context" in str(error)  # noqa: PT017
    else:
        assert torch.equal(found, torch.func.grad(lambda value: linear_scan(value, drive)[0].sum())(decay))
