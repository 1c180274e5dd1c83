"""Rotary positions: channel pairs turned by an angle that grows with the place.

Source: Su et al., arXiv 2104.09864, §3.2; pairs are (i, i + d/2).
"""

import torch
from torch import Tensor

BASE = 10_000.0


def rotate(x: Tensor, places: Tensor) -> Tensor:
    """x (…, d) with channel pairs (i, i + d/2) turned by place · base^(−2i/d); an odd d leaves its last channel alone.

    places  real, broadcastable to (…): the angles are computed in float64

    >>> rotate(torch.tensor([1.0, 0.0]), torch.tensor(torch.pi / 2)).round(decimals=4).tolist()
    [-0.0, 1.0]
    """
    half = x.shape[-1] // 2
    rates = BASE ** (-torch.arange(half, device=x.device, dtype=torch.float64) / max(half, 1))
    angles = places.to(torch.float64).unsqueeze(-1) * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    left, right, rest = x.split([half, half, x.shape[-1] - 2 * half], dim=-1)
    return torch.cat([left * cos - right * sin, left * sin + right * cos, rest], dim=-1)
