"""Which kernel runs, and why: a function of device, dtype and shape that can be printed and tested."""

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch

from statewise import _kernels
from statewise.core.errors import UsageError, pick
from statewise.core.optional import require

CPU_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.complex64, torch.complex128)
GPU_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
CPU_TAKES = "float32, float64, bfloat16, and complex where the recurrence is,"


@dataclass(frozen=True)
class Choice:
    """A kernel's name and the reason for taking it."""

    kernel: str
    because: str


def available_kernels() -> dict[str, str]:
    """Every kernel that `kernel=` may name, with what it takes; `triton` where that is installed.

    >>> list(available_kernels())[:3]
    ['reference', 'cpu', 'cpu-portable']
    """
    kernels = {
        "reference": "any dtype on any device, one step at a time",
        "cpu": f"{CPU_TAKES} on the CPU, with {instruction_set('cpu')} instructions",
        "cpu-portable": f"{CPU_TAKES} on the CPU, with the instructions that every CPU has",
    }
    if has_triton():
        kernels["triton"] = "float32, float64, bfloat16 and float16 on a GPU; on the CPU with TRITON_INTERPRET=1"
    return kernels


@cache
def has_triton() -> bool:
    """Whether Triton is installed."""
    return importlib.util.find_spec("triton") is not None


@cache
def instruction_set(kernel: str) -> str:
    """The instruction set that a CPU kernel uses on this machine: portable, avx2 or avx512.

    >>> instruction_set("cpu-portable")
    'portable'
    """
    return "portable" if kernel == "cpu-portable" else _kernels.instruction_sets()[-1]


def choose_kernel(*, device: str | torch.device, dtype: torch.dtype, shape: Sequence[int]) -> Choice:
    """The kernel for tensors of this device, dtype and shape (B, T, D), and why.

    A function of its arguments and of this machine's instruction set. No dtype or device is refused: what no
    kernel takes goes to the reference. Constant time; no tensor is made. A device that is none of torch's is a
    UsageError.

    >>> choose_kernel(device="cpu", dtype=torch.float16, shape=(8, 512, 256)).kernel
    'reference'
    """
    kind = _device_kind(device)
    name = str(dtype).removeprefix("torch.")
    if kind == "cuda" and dtype in GPU_DTYPES:
        if has_triton():
            return Choice("triton", f"{name} on a GPU")
        return Choice("reference", "triton is not installed: pip install 'statewise[gpu]'; this one takes any device")
    if kind != "cpu":
        return Choice("reference", f"no kernel takes tensors on {kind}; this one takes any device")
    if dtype not in CPU_DTYPES:
        return Choice("reference", f"the CPU kernels do not take {name}; this one takes any dtype")
    return Choice("cpu", f"{name} on the CPU; {instruction_set('cpu')} instructions")


def require_kernel(where: str, kernel: str, *, device: torch.device, dtype: torch.dtype) -> None:
    """Raise a UsageError, starting with `where`, unless `kernel` exists and takes this device and dtype."""
    if kernel == "triton":
        require("triton", extra="gpu", purpose=f"{where} with kernel='triton'")
    takes = pick(f"kernel of {where}", kernel, available_kernels())
    if not _takes(kernel, device, dtype):
        name = str(dtype).removeprefix("torch.")
        raise UsageError(
            f"{where}: kernel {kernel!r} does not take {name} on {device.type}.\n"
            f"  {kernel}  takes {takes}\n"
            'Leave kernel=None to have one chosen, or pass kernel="reference", which takes everything.'
        )


def _takes(kernel: str, device: torch.device, dtype: torch.dtype) -> bool:
    if kernel == "triton":
        # Triton's own variable: its interpreter runs the kernels in numpy.
        here = device.type == "cuda" or (device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1")
        return here and dtype in GPU_DTYPES
    return kernel == "reference" or (device.type == "cpu" and dtype in CPU_DTYPES)


def _device_kind(device: str | torch.device) -> str:
    """The device's type: `cuda` of `cuda:1`."""
    try:
        return torch.device(device).type
    except RuntimeError as error:
        raise UsageError(
            f"choose_kernel: device is {device!r}; pass one of torch's, such as 'cpu' or 'cuda:0'"
        ) from error
