"""Tensors are read where they lie: any strides, expansions and slices of every argument; packed as well as apart."""

import pytest
import torch

from ops.scans import (
    FORMS,
    ONE_EACH,
    PACKED,
    RECURRENCES,
    SETS,
    TRITON,
    TRITON_ON_LITTLE,
    assert_all_same_bits,
    by,
    cotangents,
    draw,
    gradients,
    running,
)

LAYOUTS = {
    "time-major": lambda value: value.transpose(0, 1).contiguous().transpose(0, 1),
    "channels first in memory": lambda value: value.transpose(-1, -2).contiguous().transpose(-1, -2),
    "every other channel": lambda value: value.repeat_interleave(2, dim=-1)[..., ::2],
    "a slice of wider channels": lambda value: torch.cat([value, value], dim=-1)[..., : value.shape[-1]],
    "a slice of more tokens": lambda value: torch.cat([value, value], dim=1)[:, : value.shape[1]],
    "off by one element": lambda value: torch.cat([value.new_zeros(1), value.flatten()])[1:].view(value.shape),
    "with a sign still to apply": lambda value: torch.complex(value, -value).conj().imag,
}
EXPANSIONS = {
    "one sequence for all": lambda value: value[:1].expand_as(value),
    "one time for all": lambda value: value[:, :1].expand_as(value),
    "one channel for all": lambda value: value[..., :1].expand_as(value),
    "one number for all": lambda value: value.flatten()[0].expand_as(value),
}
KERNELS = ("cpu portable", SETS[-1])
"""Not the reference: torch's own sigmoid rounds a number by its place in a vector."""


def laid_out(scan, layout):
    """For every argument, by its place: the scan with that argument laid out, and the same numbers contiguous."""
    arguments = [*scan.leaves(), scan.reset]
    for index, value in enumerate(arguments):
        if value.dtype == torch.bool and layout == "with a sign still to apply":
            continue
        changed = (LAYOUTS | EXPANSIONS)[layout](value)
        assert layout in EXPANSIONS or torch.equal(changed, value)
        plain = changed.clone(memory_format=torch.contiguous_format)
        yield index, *(rebuilt(scan, [*arguments[:index], each, *arguments[index + 1 :]]) for each in (changed, plain))


def rebuilt(scan, arguments):
    count = len(scan.inputs)
    return scan._replace(inputs=tuple(arguments[:count]), initial=tuple(arguments[count:-1]), reset=arguments[-1])


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("layout", LAYOUTS | EXPANSIONS)
def test_every_argument_is_read_where_it_lies(name, kernel, layout):
    scan = draw(name, 3, 9, 8, dtype=torch.float32, reset=True)
    grads = cotangents(name, scan)
    with running(kernel) as chosen:
        for index, strange, plain in laid_out(scan, layout):
            # Straight through the operators, since `gradients` clones its leaves.
            leaves = [each.detach().requires_grad_() for each in strange.leaves()]
            outputs = by(name, chosen)(*rebuilt(strange, [*leaves, strange.reset]))
            found = torch.autograd.grad(outputs, leaves, grads)
            expected = gradients(by(name, chosen), plain, grads)
            assert_all_same_bits(f"argument {index}", (*outputs, *found), (*expected[0], *expected[1]))


@pytest.mark.parametrize("name", ONE_EACH)
@pytest.mark.parametrize("kernel", [TRITON_ON_LITTLE])
@pytest.mark.parametrize("layout", ["time-major", "every other channel", "a slice of more tokens", "one time for all"])
def test_triton_reads_them_too(name, kernel, layout):
    scan = draw(name, 2, 3, 4, dtype=torch.float32, reset=True)
    for index, strange, plain in laid_out(scan, layout):
        actual, expected = (RECURRENCES[name](each, kernel) for each in (strange, plain))
        assert_all_same_bits(f"argument {index}", actual, expected)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("kernel", [*KERNELS, TRITON])
def test_gradients_arrive_at_any_strides(name, kernel):
    scan = draw(name, 2, 5, 8, dtype=torch.float32)
    grads = cotangents(name, scan)
    layouts = [*LAYOUTS, *EXPANSIONS] if kernel != "triton" else ["time-major", "one number for all"]
    with running(kernel) as chosen:
        for layout in layouts:
            strange = [(LAYOUTS | EXPANSIONS)[layout](each) for each in grads]
            plain = [each.clone(memory_format=torch.contiguous_format) for each in strange]
            _, found = gradients(by(name, chosen), scan, strange)
            _, expected = gradients(by(name, chosen), scan, plain)
            assert_all_same_bits(layout, found, expected)


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("kernel", [*KERNELS, TRITON])
def test_packed_equals_apart(name, kernel):
    apart = name.removesuffix(", packed")
    scan = draw(apart, 2, 5, 8, dtype=torch.float32, reset=True)
    packed = scan._replace(inputs=(torch.cat(scan.inputs, -1),))
    grads = cotangents(apart, scan)
    with running(kernel) as chosen:
        expected, (*on_inputs, on_initial) = gradients(by(apart, chosen), scan, grads)
        outputs, found = gradients(by(name, chosen), packed, grads)
    assert_all_same_bits("values", outputs, expected)
    assert_all_same_bits("gradients", found, (torch.cat(on_inputs, -1), on_initial))
    assert found[0].is_contiguous()
