"""The scan of a single token, which is what decoding runs through these layers."""

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.ops.gated_scan.gates import Gates


def scan_one_token(gates: Gates, projected: Tensor, initial: Tensor | None) -> tuple[Tensor, Tensor]:
    """States (B, 1, H) and the last one (B, H) of one token, as plain operators.

    On so few numbers the front door of a fused scan takes longer than its work.

    projected  (B, 1, pre-activations of the gates · H)
    initial    (B, H), or None for zeros

    >>> from statewise.ops.gated_scan.gates import MinGru
    >>> scan_one_token(MinGru(), torch.zeros(1, 1, 2), torch.ones(1, 1))[1].tolist()
    [[0.75]]
    """
    wide = projected.to(accumulation_dtype(projected.dtype))
    decay, drive = gates.decay_and_drive(*wide.chunk(len(gates.inputs), dim=-1))
    states = drive if initial is None else torch.addcmul(drive, decay, initial[:, None].to(wide.dtype))
    states = states.to(projected.dtype)
    return states, states[:, 0]
