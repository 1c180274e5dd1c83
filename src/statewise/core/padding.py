"""Sequences of different lengths as one batch, padded on the left."""

from collections.abc import Sequence

import torch
from torch import Tensor

from statewise.core.errors import UsageError


def left_padding_reset(lengths: Tensor | Sequence[int], length: int) -> Tensor:
    """The reset (B, T) bool of a left-padded batch: true at every sequence's first real token.

    lengths  real tokens of each sequence, (B,) int64, each from 0 to T
    length   T, padding included

    With it, outputs at real tokens and the final state are what each sequence alone gives, whatever the padding
    holds: everything carried restarts there, attention is masked across it, and positions are counted from it.

    >>> left_padding_reset([3, 1], 3).int().tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    lengths = lengths if isinstance(lengths, Tensor) else torch.tensor(lengths, dtype=torch.int64)
    if lengths.ndim != 1 or lengths.dtype != torch.int64:
        raise UsageError(
            f"left_padding_reset: lengths must be int64 of shape (batch,).\n  lengths  {tuple(lengths.shape)} "
            f"{lengths.dtype}"
        )
    # A graph that is being traced cannot depend on what the lengths are.
    if not torch.compiler.is_compiling() and bool(((lengths < 0) | (lengths > length)).any()):
        raise UsageError(f"left_padding_reset: lengths are {lengths.tolist()}; each must be from 0 to {length}")
    return torch.arange(length, device=lengths.device) == (length - lengths)[:, None]
