"""Which kernel runs, and why: a function of device, dtype and shape that can be printed and tested."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from statewise import _kernels
from statewise.core.errors import UsageError, pick

CPU_DTYPES = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Choice:
    """A kernel's name and the reason for taking it."""

    kernel: str
    because: str


def available_kernels() -> dict[str, str]:
    """Every kernel that `kernel=` may name, with what it takes.

    >>> list(available_kernels())
    ['reference', 'cpu', 'cpu-portable']
    """
    return {
        "reference": "any dtype on any device, one step at a time",
        "cpu": f"float32 and float64 on the CPU, with {instruction_set('cpu')} instructions",
        "cpu-portable": "float32 and float64 on the CPU, with the instructions that every CPU has",
    }


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

    >>> choose_kernel(device="cpu", dtype=torch.bfloat16, shape=(8, 512, 256)).kernel
    'reference'
    """
    kind = _device_kind(device)
    name = str(dtype).removeprefix("torch.")
    if kind != "cpu":
        return Choice("reference", f"no kernel takes tensors on {kind}; this one takes any device")
    if dtype not in CPU_DTYPES:
        return Choice("reference", f"the CPU kernels take float32 and float64, not {name}; this one takes any dtype")
    return Choice("cpu", f"{name} on the CPU; {instruction_set('cpu')} instructions")


def require_kernel(where: str, kernel: str, *, device: torch.device, dtype: torch.dtype) -> None:
    """Raise a UsageError, starting with `where`, unless `kernel` exists and takes this device and dtype."""
    takes = pick(f"kernel of {where}", kernel, available_kernels())
    if kernel != "reference" and (device.type != "cpu" or dtype not in CPU_DTYPES):
        name = str(dtype).removeprefix("torch.")
        raise UsageError(
            f"{where}: kernel {kernel!r} does not take {name} on {device.type}.\n"
            f"  {kernel}  takes {takes}\n"
            'Leave kernel=None to have one chosen, or pass kernel="reference", which takes everything.'
        )


def _device_kind(device: str | torch.device) -> str:
    """The device's type: `cuda` of `cuda:1`."""
    try:
        return torch.device(device).type
    except RuntimeError as error:
        raise UsageError(
            f"choose_kernel: device is {device!r}; pass one of torch's, such as 'cpu' or 'cuda:0'"
        ) from error
