"""The file that rwkv.cpp keeps RWKV models in: a header, then one tensor after another.

header  six int32: magic, version, vocabulary, width, layers, type of most tensors
tensor  three int32: axes, bytes of the name, type; an int32 for each axis, last axis first; the name; the numbers

Numbers are little-endian; type 0 is float32, 1 float16, the others are quantised. The format is documented in
docs/FILE_FORMAT.md of github.com/RWKV/rwkv.cpp. Nothing in a file is trusted: no length is taken before it is known to
fit into what is left.
"""

import math
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor

from statewise.core.errors import UsageError

MAGIC = 0x67676D66
VERSIONS = (100, 101)
MOST_AXES = 4
DTYPES = {0: torch.float32, 1: torch.float16}


class RwkvFile(NamedTuple):
    """What a file holds; tensors by their names in it, in float32 and in PyTorch's order of axes."""

    vocabulary: int
    width: int
    layers: int
    tensors: dict[str, Tensor]


def read_rwkv_file(path: str | Path) -> RwkvFile:
    """Read a whole file; one that is absent, damaged, cut short or quantised is a UsageError that names it."""
    try:
        with Path(path).open("rb") as file:
            return _read(file, Path(path))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error


def _read(file: BinaryIO, path: Path) -> RwkvFile:
    left = path.stat().st_size
    magic, version, vocabulary, width, layers, _ = _integers(_take(file, 24, left, path))
    if magic != MAGIC:
        raise UsageError(
            f"{path} is not a model of rwkv.cpp: it starts with {magic & 0xFFFFFFFF:#010x}, not {MAGIC:#x}"
        )
    if version not in VERSIONS:
        raise UsageError(f"{path} has the format's version {version}; known are {' and '.join(map(str, VERSIONS))}")
    if min(vocabulary, width, layers) < 1:
        raise UsageError(f"{path} is damaged: vocabulary {vocabulary}, width {width}, layers {layers}")
    left -= 24
    tensors: dict[str, Tensor] = {}
    while left:
        name, tensor, size = _read_tensor(file, left, path)
        if name in tensors:
            raise UsageError(f"{path} is damaged: it holds {name} twice")
        tensors[name] = tensor
        left -= size
    return RwkvFile(vocabulary, width, layers, tensors)


def _read_tensor(file: BinaryIO, left: int, path: Path) -> tuple[str, Tensor, int]:
    """The next tensor, its name, and how many of the `left` bytes it took."""
    axes, name_length, kind = _integers(_take(file, 12, left, path))
    if not (1 <= axes <= MOST_AXES and name_length >= 1):
        raise UsageError(f"{path} is damaged: a tensor has {axes} axes and a name of {name_length} bytes")
    size = 12 + 4 * axes
    shape = _integers(_take(file, 4 * axes, left - 12, path))[::-1]
    raw_name = _take(file, name_length, left - size, path)
    name, size = raw_name.decode("utf-8", errors="replace"), size + name_length
    if min(shape) < 1:
        raise UsageError(f"{path} is damaged: {name!r} has the shape {shape}")
    if kind not in DTYPES:
        raise UsageError(f"{path}: {name!r} is quantised (type {kind}); convert the model to FP32 or FP16")
    dtype = DTYPES[kind]
    data = _take(file, math.prod(shape) * dtype.itemsize, left - size, path)
    tensor = torch.frombuffer(bytearray(data), dtype=dtype).reshape(shape)
    return name, tensor.to(torch.float32), size + len(data)


def _take(file: BinaryIO, count: int, left: int, path: Path) -> bytes:
    """The next `count` bytes, of which the file must have that many left."""
    data = file.read(count) if count <= left else b""
    if len(data) != count:
        raise UsageError(f"{path} is cut short: {count} bytes are missing where {max(left, 0)} are left")
    return data


def _integers(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 4}i", data)
