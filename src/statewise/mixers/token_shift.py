"""Token shift: what a layer is given of the token before each.

B batch, T time, D width.
"""

import torch
from torch import Tensor


def previous_tokens(x: Tensor, last: Tensor, reset: Tensor | None) -> tuple[Tensor, Tensor]:
    """For each token of x the one before it, (B, T, D), zeros where a sequence starts; and the last token (B, D).

    x      (B, T, D)
    last   (B, D) the token before the first
    reset  (B, T) bool, true where a sequence starts

    >>> previous, last = previous_tokens(torch.tensor([[[1.0], [2.0]]]), torch.zeros(1, 1), None)
    >>> previous.flatten().tolist(), last.item()
    ([0.0, 1.0], 2.0)
    """
    seen = torch.cat([last.unsqueeze(1).to(x.dtype), x], 1)
    previous = seen[:, :-1]
    if reset is not None:
        previous = previous.masked_fill(reset.unsqueeze(-1), 0)
    return previous, seen[:, -1]


def channel_shares(width: int) -> Tensor:
    """i / D for each channel i: RWKV's initial values are powers of it.

    >>> channel_shares(4).tolist()
    [0.0, 0.25, 0.5, 0.75]
    """
    return torch.arange(width) / width
