"""The C++ kernels (csrc/) on tensors.

Rows are read in place at any batch and time stride, 0 included. What is not contiguous along the channels is
copied once before.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from statewise import _kernels
from statewise.core.errors import UsageError

Place = tuple[int, int, int]

WORTH_LARGE_PAGES = 2**22
"""Bytes of an output that surely holds a whole page of 2 MiB."""


def run(
    name: str,
    inputs: Sequence[Tensor | None],
    outputs: Sequence[Tensor | None],
    *,
    dtype: torch.dtype,
    shape: Sequence[int],
    instruction_set: str,
    options: Sequence[int] = (0,),
) -> None:
    """Run the kernel `name`; inputs, then outputs are what its file in csrc lists as places.

    dtype    picks the kernel; the tensors have it, or that which the file says
    shape    (B, T, D) of the scan
    options  what else the file asks for
    """
    for output in outputs:
        if output is None:
            continue
        _require_writable(name, output, dtype)
        size = output.nbytes
        if size >= WORTH_LARGE_PAGES:
            _kernels.prefer_large_pages(output.data_ptr(), size)
    # Held, so that a copy made for the kernel lives until it has run.
    held = [readable(tensor) for tensor in inputs]
    batch, length, channels = shape
    _kernels.run(
        instruction_set,
        name,
        str(dtype).removeprefix("torch."),
        torch.get_num_threads(),
        (batch, length, channels),
        list(options),
        [place(tensor) for tensor in (*held, *outputs)],
    )


def readable(tensor: Tensor | None) -> Tensor | None:
    """The tensor with its channels contiguous in memory, and no sign or conjugate left to apply; else a copy.

    >>> readable(torch.zeros(2, 3, 4).transpose(1, 2)).stride()
    (12, 3, 1)
    """
    if tensor is None:
        return None
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] <= 1 else tensor.contiguous()


def place(tensor: Tensor | None) -> Place:
    """Address, batch stride and time stride of (B, T, …). Of (B, D) the kernels read time 0 only.

    >>> place(torch.zeros(2, 3, 4))[1:], place(None)
    ((12, 4), (0, 0, 0))
    """
    return (0, 0, 0) if tensor is None else (tensor.data_ptr(), tensor.stride(0), tensor.stride(1))


def _require_writable(name: str, output: Tensor, dtype: torch.dtype) -> None:
    """Raise unless the kernel can write where the tensor's numbers are: in `dtype`, or what that is computed in."""
    if output.dtype not in (dtype, torch.promote_types(dtype, torch.float32)):
        raise UsageError(f"{name}: the kernel for {dtype} cannot write an output of {output.dtype}")
    if output.is_conj() or output.is_neg() or (output.stride(-1) != 1 and output.shape[-1] > 1):
        raise UsageError(
            f"{name}: an output of shape {tuple(output.shape)} has strides {tuple(output.stride())}, or a sign or "
            "conjugate left to apply; pass a tensor whose channels are contiguous"
        )
