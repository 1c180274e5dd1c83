"""The linear recurrence of the max-plus algebra: the largest exponent that a sum of decaying exponentials holds.

    m_t = max(g_t + m_{t−1}, s_t)        m_{t−1} is −∞ where reset_t

B batch, T time, D channels. Sums of e^{s_i + g_{i+1} + … + g_t} stay finite when they are divided by e^{m_t}.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from statewise.ops.linear_scan import linear_scan


def max_plus_scan(log_decay: Tensor, score: Tensor, initial: Tensor, reset: Tensor | None = None) -> Tensor:
    """Every m_t, (B, T, D).

    log_decay  g, real, broadcastable to (B, T, D); −∞ forgets all
    score      s (B, T, D); −∞ is allowed
    initial    m_0 (B, D), the dtype of score; −∞ where nothing came before
    reset      (B, T) bool, true where what came before the token is forgotten

    O(B·T·D) work in O(√T) steps. Differentiable to any order in reverse mode: the gradient of a maximum goes to
    whichever set it (the earliest of equals), that of −∞ nowhere. Nothing is checked.

    >>> score = torch.tensor([0.0, -5.0, -1.0]).reshape(1, 3, 1)
    >>> max_plus_scan(torch.tensor(-2.0), score, torch.full((1, 1), -torch.inf)).flatten().tolist()
    [0.0, -2.0, -1.0]
    """
    log_decay = log_decay.expand_as(score)
    if reset is not None:
        log_decay = log_decay.masked_fill(reset.unsqueeze(-1), -torch.inf)
    with torch.no_grad():
        largest = _in_pieces(log_decay, score, initial)
        before = torch.cat([initial.unsqueeze(1), largest], 1)[:, :-1]
        nothing = largest == -torch.inf
        kept = log_decay + before >= score
    # Known who wins, the recurrence is linear, with a decay of 1 or 0; finite numbers stand in for −∞, since 0 · −∞ is
    # no number.
    drive = torch.where(kept, log_decay, score).masked_fill(nothing, 0)
    states, _ = linear_scan(kept.to(score.dtype), drive, initial.masked_fill(initial == -torch.inf, 0))
    return states.masked_fill(nothing, -torch.inf)


def _in_pieces(log_decay: Tensor, score: Tensor, initial: Tensor) -> Tensor:
    """Every m_t, from √T pieces of √T tokens: all pieces at once from −∞, then from one piece to the next."""
    length = score.shape[1]
    size = max(math.isqrt(length), 1)
    missing = -length % size
    decays = pad(log_decay, (0, 0, 0, missing)).unflatten(1, (-1, size)).unbind(2)
    scores = pad(score, (0, 0, 0, missing)).unflatten(1, (-1, size)).unbind(2)

    inside, sums = [scores[0]], [decays[0]]
    for g, s in zip(decays[1:], scores[1:], strict=True):
        inside.append(torch.maximum(inside[-1] + g, s))
        sums.append(sums[-1] + g)

    entering = [initial]
    for total, last in zip(sums[-1].unbind(1), inside[-1].unbind(1), strict=True):
        entering.append(torch.maximum(entering[-1] + total, last))
    before = torch.stack(entering[:-1], 1) if length else score
    pairs = zip(inside, sums, strict=True)
    return torch.stack([torch.maximum(m, before + total) for m, total in pairs], 2).flatten(1, 2)[:, :length]
