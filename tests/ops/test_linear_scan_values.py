"""Laws of the linear scan's values, over every kernel."""

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.scans import FAST_KERNELS, KERNELS, SIZES, cotangents, draw, twin
from statewise.ops import linear_scan
from statewise.ops.linear_scan.raw import backward_op, forward_op
from statewise.ops.linear_scan.reference import linear_scan as reference
from tolerances import assert_close, assert_same_bits

DTYPES = (torch.float32, torch.float64)


@pytest.mark.parametrize("kernel", KERNELS)
def test_by_hand(kernel):
    decay = torch.tensor([0.5, 2.0, -1.0]).reshape(1, 3, 1)
    drive = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1)
    initial = torch.tensor([[4.0]])
    states, final = linear_scan(decay, drive, initial, kernel=kernel)
    assert states.flatten().tolist() == [3.0, 8.0, -5.0]
    assert final.tolist() == [[-5.0]]
    reset = torch.tensor([[False, True, False]])
    states, final = linear_scan(decay, drive, initial, reset=reset, kernel=kernel)
    assert states.flatten().tolist() == [3.0, 2.0, 1.0]
    assert final.tolist() == [[1.0]]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("extras", [{}, {"initial": False}, {"reset": True}], ids=str)
@pytest.mark.parametrize(("length", "channels"), [(0, 3), *SIZES])
def test_agrees_with_the_reference_in_float64(dtype, extras, length, channels):
    scan = draw(2, length, channels, dtype=dtype, **extras)
    expected_states, expected_final = twin(scan)
    for kernel in KERNELS:
        states, final = linear_scan(*scan[:3], reset=scan.reset, kernel=kernel)
        assert_close(f"{kernel}: states", states, expected_states)
        assert_close(f"{kernel}: final", final, expected_final)
        assert states.is_contiguous()
        assert final.is_contiguous()


@pytest.mark.parametrize("kernel", FAST_KERNELS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("extras", [{}, {"initial": False}, {"reset": True}], ids=str)
def test_every_instruction_set_gives_the_references_bits(kernel, dtype, extras):
    scan = draw(3, 70, 1050, dtype=dtype, **extras)
    for name, actual, expected in zip(
        ("states", "final"), forward_op(*scan, kernel), forward_op(*scan, "reference"), strict=True
    ):
        assert_same_bits(name, actual, expected)
    inputs = (scan.decay, reference(*scan)[0], scan.initial, scan.reset, *cotangents(scan))
    for name, actual, expected in zip(
        ("grad_decay", "grad_drive", "grad_initial"),
        backward_op(*inputs, kernel),
        backward_op(*inputs, "reference"),
        strict=True,
    ):
        assert_same_bits(name, actual, expected)


@given(
    batch=st.integers(0, 5),
    length=st.integers(0, 12),
    channels=st.integers(0, 40),
    kernel=st.sampled_from(KERNELS),
    dtype=st.sampled_from(DTYPES),
    initial=st.booleans(),
    reset=st.booleans(),
)
@settings(deadline=None, max_examples=80, derandomize=True)
def test_agrees_at_any_shape(batch, length, channels, kernel, dtype, initial, reset):
    scan = draw(batch, length, channels, dtype=dtype, initial=initial, reset=reset)
    states, final = linear_scan(*scan[:3], reset=scan.reset, kernel=kernel)
    expected_states, expected_final = twin(scan)
    assert_close("states", states, expected_states)
    assert_close("final", final, expected_final)


@pytest.mark.parametrize("kernel", FAST_KERNELS)
@pytest.mark.parametrize("threads", [2, 3, 16])
def test_threads_change_no_bit(kernel, threads, set_threads):
    # Fewer sequences than threads, so that their channels are shared out too; and often, so that threads meet.
    scan = draw(2, 3000, 160, dtype=torch.float32, reset=True)
    set_threads(1)
    alone = forward_op(*scan, kernel)
    inputs = (scan.decay, alone[0], scan.initial, scan.reset, *cotangents(scan))
    alone_backward = backward_op(*inputs, kernel)
    set_threads(threads)
    for _ in range(10):
        together = forward_op(*scan, kernel) + backward_op(*inputs, kernel)
        for actual, expected in zip(together, alone + alone_backward, strict=True):
            assert torch.equal(actual.view(torch.int32), expected.view(torch.int32))


LAYOUTS = {
    "time-major": lambda value: value.transpose(0, 1).contiguous().transpose(0, 1),
    "channels first in memory": lambda value: value.transpose(-1, -2).contiguous().transpose(-1, -2),
    "every other channel": lambda value: value.repeat_interleave(2, dim=-1)[..., ::2],
    "a slice of wider channels": lambda value: torch.cat([value, value], dim=-1)[..., : value.shape[-1]],
    "off by one element": lambda value: torch.cat([value.new_zeros(1), value.flatten()])[1:].view(value.shape),
    "with a sign still to apply": lambda value: torch.complex(value, -value).conj().imag,
}
EXPANSIONS = {
    "one sequence for all": lambda value: value[:1].expand_as(value),
    "one time for all": lambda value: value[:, :1].expand_as(value),
    "one channel for all": lambda value: value[..., :1].expand_as(value),
    "one number for all": lambda value: value.flatten()[0].expand_as(value),
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("layout", LAYOUTS | EXPANSIONS)
@pytest.mark.parametrize("argument", ["decay", "drive", "initial", "reset"])
def test_reads_any_strides(kernel, layout, argument):
    scan = draw(3, 9, 6, dtype=torch.float32, reset=True)
    value = getattr(scan, argument)
    if argument == "reset" and layout == "with a sign still to apply":
        pytest.skip("flags have no sign")
    laid_out = (LAYOUTS | EXPANSIONS)[layout](value)
    scan = scan._replace(**{argument: laid_out})
    plain = scan._replace(**{argument: laid_out.clone(memory_format=torch.contiguous_format)})
    assert layout in EXPANSIONS or torch.equal(laid_out, value)
    states, final = linear_scan(*scan[:3], reset=scan.reset, kernel=kernel)
    expected_states, expected_final = reference(*plain)
    assert_same_bits("states", states, expected_states)
    assert_same_bits("final", final, expected_final)


@pytest.mark.parametrize("kernel", KERNELS)
def test_decay_zero_gives_the_drive_and_one_its_sum(kernel):
    drive = torch.randint(-8, 8, (2, 200, 5)).float()
    assert torch.equal(linear_scan(torch.zeros_like(drive), drive, kernel=kernel)[0], drive)
    assert torch.equal(linear_scan(torch.ones_like(drive), drive, kernel=kernel)[0], drive.cumsum(1))


@pytest.mark.parametrize("kernel", KERNELS)
@given(cut=st.integers(0, 30))
@settings(deadline=None, max_examples=15, derandomize=True)
def test_cutting_a_sequence_changes_nothing(kernel, cut):
    decay, drive, initial, reset = draw(2, 30, 5, dtype=torch.float32, reset=True)
    whole, final = linear_scan(decay, drive, initial, reset=reset, kernel=kernel)
    left, middle = linear_scan(decay[:, :cut], drive[:, :cut], initial, reset=reset[:, :cut], kernel=kernel)
    right, end = linear_scan(decay[:, cut:], drive[:, cut:], middle, reset=reset[:, cut:], kernel=kernel)
    assert_same_bits("states", torch.cat([left, right], dim=1), whole)
    assert_same_bits("final", end, final)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_reset_equals_separate_sequences(kernel):
    decay, drive, initial, _ = draw(2, 20, 5)
    reset = torch.zeros(2, 20, dtype=torch.bool)
    reset[:, 7] = True
    states, final = linear_scan(decay, drive, initial, reset=reset, kernel=kernel)
    first, _ = linear_scan(decay[:, :7], drive[:, :7], initial, kernel=kernel)
    second, end = linear_scan(decay[:, 7:], drive[:, 7:], kernel=kernel)
    assert_same_bits("states", states, torch.cat([first, second], dim=1))
    assert_same_bits("final", final, end)


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_token_gives_the_initial_state_back(kernel):
    decay, drive, initial, _ = draw(2, 0, 3)
    states, final = linear_scan(decay, drive, initial, kernel=kernel)
    assert states.shape == (2, 0, 3)
    assert torch.equal(final, initial)
    assert final.data_ptr() != initial.data_ptr()
    assert torch.equal(linear_scan(decay, drive, kernel=kernel)[1], torch.zeros(2, 3, dtype=torch.float64))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_spreads_as_in_the_reference(kernel, value):
    scan = draw(2, 20, 6, dtype=torch.float32, reset=True)
    scan.decay[0, 3, 0], scan.drive[0, 3, 1], scan.initial[0, 2], scan.decay[0, 9, 3] = value, value, value, 0.0
    scan.drive[0, 8, 3] = value
    states, final = linear_scan(*scan[:3], reset=scan.reset, kernel=kernel)
    expected_states, expected_final = twin(scan)
    assert not expected_states.isfinite().all()
    assert_close("states", states, expected_states)
    assert_close("final", final, expected_final)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nothing_crosses_a_reset(kernel, dtype):
    decay, drive, initial, _ = draw(1, 12, 5, dtype=dtype)
    reset = torch.zeros(1, 12, dtype=torch.bool)
    reset[:, 6] = True
    clean, _ = linear_scan(decay, drive, initial, reset=reset, kernel=kernel)
    drive[:, 5, :3], initial[:, 3:] = float("nan"), float("inf")
    states, _ = linear_scan(decay, drive, initial, reset=reset, kernel=kernel)
    assert not states[:, 5].isfinite().any()
    assert_same_bits("states after the reset", states[:, 6:], clean[:, 6:])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_narrow_dtypes_accumulate_in_float32(dtype):
    ones = torch.ones(1, 600, 1, dtype=dtype)
    drive = ones * 0.125
    states, final = linear_scan(ones, drive)
    # Added up in bfloat16 this stops at 32.
    assert final.item() == 75.0
    assert states.dtype == final.dtype == dtype
    scan = draw(2, 63, 5, dtype=dtype, reset=True)
    states, final = linear_scan(*scan[:3], reset=scan.reset)
    assert_close("states", states, twin(scan)[0])
    assert_close("final", final, twin(scan)[1])


def test_complex_decays_turn():
    quarter_turn = torch.full((1, 4, 1), 1j, dtype=torch.complex64)
    states, _ = linear_scan(quarter_turn, torch.zeros_like(quarter_turn), torch.ones(1, 1, dtype=torch.complex64))
    assert states.flatten().tolist() == [1j, -1, -1j, 1]


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="this system has no large pages to ask for"
)
@pytest.mark.parametrize("kernel", FAST_KERNELS)
def test_large_outputs_ask_for_large_pages(kernel):
    drive = torch.zeros(4, 2500, 1024)
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


def test_a_meta_tensor_gives_shapes():
    decay = torch.empty(2, 3, 4, device="meta")
    states, final = linear_scan(decay, decay)
    assert (states.shape, final.shape) == ((2, 3, 4), (2, 4))
    assert states.is_meta
