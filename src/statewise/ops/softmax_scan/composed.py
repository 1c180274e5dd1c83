"""The softmax scan's gradients made of two linear scans over reversed time: for devices without a kernel of its own.

What all earlier tokens share, R and Q of `reference.softmax_scan_backward`, are linear recurrences with the decay
γ_t = e^{m_t − m_{t+1}}; the rest is elementwise.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from statewise.ops.softmax_scan.reference import States, gather, spread, weight

Scan = Callable[[tuple[Tensor, Tensor], Tensor, Tensor | None], tuple[Tensor, Tensor]]
"""((decay, drive), initial, reset) → (states, final)."""


def softmax_scan_backward(
    score: Tensor,
    value: Tensor,
    outputs: Tensor,
    maxima: Tensor,
    denominators: Tensor,
    initial: States,
    reset: Tensor | None,
    grad_outputs: Tensor,
    final_numerator: Tensor,
    grad_final: States,
    *,
    scan: Scan,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """As `reference.softmax_scan_backward`; T at least 1."""
    wide, per_head = final_numerator.dtype, value.shape[-1] // score.shape[-1]
    on_max, on_denominator, on_numerator = grad_final
    through_max = on_max - denominators[:, -1] * on_denominator - gather(final_numerator * on_numerator, per_head)
    incoming, v = grad_outputs.to(wide), value.to(wide)

    decay = weight(maxima, torch.cat([maxima[:, 1:], maxima[:, -1:]], dim=1))
    # Backwards, a sequence starts where forwards the one after it does.
    starts = None if reset is None else torch.cat([reset[:, 1:], torch.zeros_like(reset[:, :1])], dim=1).flip(1)

    def backwards(drive: Tensor, after: Tensor, rate: Tensor) -> Tensor:
        return scan((rate.flip(1), drive.flip(1)), after, starts)[0].flip(1)

    on_values = backwards(incoming / spread(denominators, per_head), on_numerator, spread(decay, per_head))
    on_sum = backwards(gather(incoming * outputs.to(wide), per_head) / denominators, -on_denominator, decay)

    token = weight(score.to(wide), maxima)
    on_score = token * (gather(v * on_values, per_head) - on_sum)
    setter, left = _setter_of_the_maximum(maxima, initial[0], reset)
    on_score = on_score + torch.where(setter, through_max[:, None], 0)

    kept = 1 if reset is None else (~reset[:, :1]).to(wide)
    scale = kept * weight(initial[0], maxima[:, 0])
    total = gather(initial[2] * on_values[:, 0], per_head) - initial[1] * on_sum[:, 0]
    return (
        on_score.to(score.dtype),
        (spread(token, per_head) * on_values).to(value.dtype),
        scale * total + torch.where(left, through_max, 0),
        -scale * on_sum[:, 0],
        spread(scale, per_head) * on_values[:, 0],
    )


def _setter_of_the_maximum(maxima: Tensor, first: Tensor, reset: Tensor | None) -> tuple[Tensor, Tensor]:
    """True at the token that set the final maximum (B, T, H), and (B, H) where that was the initial state."""
    before = torch.cat([first[:, None], maxima[:, :-1]], dim=1)
    if reset is not None:
        before = before.masked_fill(reset.unsqueeze(-1), -torch.inf)
    sets = before < maxima
    times = torch.arange(1, maxima.shape[1] + 1, device=maxima.device)[None, :, None]
    last = torch.where(sets, times, 0).amax(1, keepdim=True)
    left = last[:, 0] == 0
    if reset is not None:
        left = left & ~reset.any(1)[:, None]
    return times == last, left
