"""Which kernel is chosen, and that what is chosen or forced is what runs."""

import importlib

import numpy as np
import pytest
import torch

from ops.scans import has_interpreter
from statewise import _kernels
from statewise.core.errors import UsageError
from statewise.ops import Choice, available_kernels, choose_kernel, linear_scan
from statewise.ops.choice import has_triton, instruction_set
from statewise.ops.linear_scan import cpu, reference

SHAPE = (8, 4096, 256)


@pytest.mark.parametrize(
    ("device", "dtype", "kernel", "because"),
    [
        ("cpu", torch.float32, "cpu", "float32 on the CPU"),
        (torch.device("cpu"), torch.float64, "cpu", "float64 on the CPU"),
        ("cpu", torch.bfloat16, "cpu", "bfloat16 on the CPU"),
        ("cpu", torch.float16, "reference", "do not take float16"),
        ("cpu", torch.complex64, "cpu", "complex64 on the CPU"),
        ("cuda:1", torch.float32, "triton", "float32 on a GPU"),
        ("cuda", torch.complex64, "reference", "no kernel takes tensors on cuda"),
        ("mps", torch.float32, "reference", "no kernel takes tensors on mps"),
    ],
)
def test_the_choice_is_a_function_of_device_and_dtype(device, dtype, kernel, because):
    if kernel == "triton":
        pytest.importorskip("triton", reason="triton is published for Linux only")
    choice = choose_kernel(device=device, dtype=dtype, shape=SHAPE)
    assert choice.kernel == kernel
    assert because in choice.because
    assert choice == choose_kernel(device=device, dtype=dtype, shape=(1, 1, 1))


def test_the_choice_names_the_instruction_set():
    widest = _kernels.instruction_sets()[-1]
    choice = choose_kernel(device="cpu", dtype=torch.float32, shape=SHAPE)
    assert choice == Choice("cpu", f"float32 on the CPU; {widest} instructions")
    assert f"with {widest} instructions" in available_kernels()["cpu"]


def test_an_unknown_device_is_a_usage_error():
    with pytest.raises(UsageError, match="device is 'cpuu'"):
        choose_kernel(device="cpuu", dtype=torch.float32, shape=SHAPE)


def test_portable_is_on_every_machine_and_forcible():
    assert _kernels.instruction_sets()[0] == "portable"
    assert instruction_set("cpu-portable") == "portable"
    assert instruction_set("cpu") == _kernels.instruction_sets()[-1]


@pytest.mark.parametrize(
    ("kernel", "dtype", "expected"),
    [
        (None, torch.float32, _kernels.instruction_sets()[-1]),
        (None, torch.bfloat16, _kernels.instruction_sets()[-1]),
        (None, torch.float16, "reference"),
        ("cpu", torch.float64, _kernels.instruction_sets()[-1]),
        ("cpu-portable", torch.float32, "portable"),
        ("reference", torch.float32, "reference"),
    ],
)
def test_what_is_asked_for_runs_forwards_and_backwards(kernel, dtype, expected, monkeypatch):
    ran = []

    def spied(plain):
        def spy(*arguments, **options):
            ran.append(options.get("instruction_set", "reference"))
            return plain(*arguments, **options)

        return spy

    for module in (cpu, reference):
        for name in ("linear_scan", "linear_scan_backward"):
            monkeypatch.setattr(module, name, spied(getattr(module, name)))
    drive = torch.zeros(1, 2, 3, dtype=dtype, requires_grad=True)
    linear_scan(drive, drive, kernel=kernel)[0].sum().backward()
    assert ran == [expected, expected]


def test_the_extension_refuses_what_this_machine_lacks():
    with pytest.raises(ValueError, match="no kernel linear_scan for float32 and sse9 instructions on this machine"):
        _kernels.run("sse9", "linear_scan", "float32", 1, (0, 0, 0), [0], [])


def test_the_extension_counts_its_tensors():
    with pytest.raises(ValueError, match="linear_scan takes 6 tensors, not 5"):
        _kernels.run("portable", "linear_scan", "float32", 1, (0, 0, 0), [0], [(0, 0, 0)] * 5)


def test_the_extension_converts_nothing():
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _kernels.run("portable", "linear_scan", "float32", np.int64(1), (0, 0, 0), [0], [(0, 0, 0)] * 6)


def test_where_triton_is_installed_its_kernels_are_tested():
    assert has_interpreter() == has_triton()
    if has_triton():
        # Asked too late, the variable is set and the kernels are compiled ones that need a GPU.
        assert (
            type(importlib.import_module("statewise.ops.triton.jit").forward_kernel).__name__ == "InterpretedFunction"
        )
