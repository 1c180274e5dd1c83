"""What holds of the linear scan's values alone: the reference's bits, and large pages."""

import re
from mmap import mmap
from pathlib import Path

import pytest
import torch

from ops.scans import REAL, SETS, assert_all_same_bits, by, cotangents, draw, running
from statewise.ops import linear_scan
from statewise.ops.linear_scan.raw import backward_op, forward_op


@pytest.mark.parametrize("kernel", SETS)
@pytest.mark.parametrize("dtype", REAL, ids=str)
@pytest.mark.parametrize("extras", [{}, {"initial": False}, {"reset": True}], ids=str)
def test_every_instruction_set_gives_the_references_bits_of_real_numbers(kernel, dtype, extras):
    scan = draw("linear_scan", 3, 70, 1050, dtype=dtype, **extras)
    (initial,) = scan.initial or (None,)
    states, _ = expected = by("linear_scan", "reference")(*scan)
    inputs = (scan.inputs[0], states, initial, scan.reset, *cotangents("linear_scan", scan))
    with running(kernel) as chosen:
        assert_all_same_bits("values", forward_op(*scan.inputs, initial, scan.reset, chosen), expected)
        assert_all_same_bits("gradients", backward_op(*inputs, chosen), backward_op(*inputs, "reference"))


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="this system has no large pages to ask for"
)
@pytest.mark.parametrize("kernel", ["cpu", "cpu-portable"])
def test_large_outputs_ask_for_large_pages(kernel):
    # A mapping of its own, whatever the allocator keeps from before.
    drive = torch.frombuffer(mmap(-1, 4 * 2500 * 1024 * 4), dtype=torch.float32).view(4, 2500, 1024)
    states, _ = linear_scan(drive, drive, kernel=kernel)
    middle = states.data_ptr() + states.nbytes // 2
    assert "hg" in mapping_flags(middle)
    assert "hg" not in mapping_flags(drive.data_ptr() + drive.nbytes // 2)


def mapping_flags(address):
    """The kernel's flags of the memory mapping that holds an address, from /proc/self/smaps."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        bounds = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if bounds:
            inside = int(bounds[1], 16) <= address < int(bounds[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return line.split()[1:]
    raise LookupError(f"no mapping holds {address:#x}")
