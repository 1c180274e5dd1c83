"""The softmax-weighted average of what came before, written as the loop it is.

    o_t = Σ_{i≤t} e^{s_i} v_i / Σ_{i≤t} e^{s_i}

    m_t = max(m_{t−1}, s_t)      α = e^{m_{t−1} − m_t}    β = e^{s_t − m_t}
    d_t = α d_{t−1} + β          n_t = α n_{t−1} + β v_t   o_t = n_t / d_t

B batch, T time, H heads, D channels; a head's score weighs its D / H neighbouring channels. No exponent is positive,
so nothing overflows. This file is the definition; the kernels promise to agree with it to the tolerances in
statewise.testing.compare.
"""

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype

States = tuple[Tensor, Tensor, Tensor]
"""Largest score (B, H), denominator (B, H), numerator (B, D)."""


def softmax_scan(
    score: Tensor, value: Tensor, initial: States, reset: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All outputs, what the backward needs of each step, and the last numerator, one step at a time.

    score    (B, T, H), value (B, T, D), of one dtype
    initial  in at least float32; -inf, 0, 0 before any token
    reset    (B, T) bool, true where the state before the token is that

    Returns outputs (B, T, D) in the dtype of value, and maxima (B, T, H), denominators (B, T, H) and the final
    numerator (B, D) in the dtype of initial. Plain autograd differentiates it.

    >>> score, value = torch.zeros(1, 2, 1), torch.tensor([[[1.0], [3.0]]])
    >>> softmax_scan(score, value, empty(score, value))[0].flatten().tolist()
    [1.0, 2.0]
    """
    largest, denominator, numerator = initial
    wide, per_head = numerator.dtype, value.shape[-1] // max(1, score.shape[-1])
    nothing = empty(score, value)
    outputs, maxima, denominators = [], [], []
    for t, (s, v) in enumerate(zip(score.to(wide).unbind(1), value.to(wide).unbind(1), strict=True)):
        if reset is not None:
            starts = reset[:, t, None]
            carried = zip(nothing, (largest, denominator, numerator), strict=True)
            largest, denominator, numerator = (torch.where(starts, none, old) for none, old in carried)
        before, largest = largest, torch.maximum(largest, s)
        old, fresh = weight(before, largest), weight(s, largest)
        denominator = old * denominator + fresh
        numerator = spread(old, per_head) * numerator + spread(fresh, per_head) * v
        outputs.append((numerator / spread(denominator, per_head)).to(value.dtype))
        maxima.append(largest)
        denominators.append(denominator)
    stacked = torch.stack(outputs, 1) if outputs else value.new_empty(value.shape)
    shape = score.shape
    return (
        stacked,
        torch.stack(maxima, 1) if maxima else numerator.new_empty(shape),
        torch.stack(denominators, 1) if denominators else numerator.new_empty(shape),
        numerator.clone(),
    )


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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of score, value and the three parts of initial, last step first.

    R and Q are what all earlier tokens share, scaled by e^{m_t}; `through_max` is the gradient of the largest score,
    which goes to the first token that has it.
    """
    wide, per_head = final_numerator.dtype, value.shape[-1] // max(1, score.shape[-1])
    on_max, on_denominator, on_numerator = grad_final
    length = value.shape[1]
    after = maxima[:, -1] if length else initial[0]
    denominator = denominators[:, -1] if length else initial[1]
    through_max = on_max - denominator * on_denominator - gather(final_numerator * on_numerator, per_head)
    on_values, on_sum = on_numerator, -on_denominator
    on_score, on_value = score.new_empty(score.shape), value.new_empty(value.shape)
    for t in reversed(range(length)):
        largest, scale = maxima[:, t], 1 / denominators[:, t]
        incoming, out, v = (each[:, t].to(wide) for each in (grad_outputs, outputs, value))
        old, after = weight(largest, after), largest
        on_values = incoming * spread(scale, per_head) + spread(old, per_head) * on_values
        on_sum = gather(incoming * out, per_head) * scale + old * on_sum
        token = weight(score[:, t].to(wide), largest)
        before = maxima[:, t - 1] if t else initial[0]
        if reset is not None:
            before = torch.where(reset[:, t, None], -torch.inf, before)
        sets = before < largest
        on_score[:, t] = token * (gather(v * on_values, per_head) - on_sum) + torch.where(sets, through_max, 0)
        on_value[:, t] = spread(token, per_head) * on_values
        through_max = torch.where(sets, 0, through_max)
        if reset is not None:
            starts = reset[:, t, None]
            on_values, on_sum, through_max = (each.masked_fill(starts, 0) for each in (on_values, on_sum, through_max))
    # Without any token the state is given back as it came, the empty one too.
    scale = weight(initial[0], after) if length else torch.ones_like(after)
    total = gather(initial[2] * on_values, per_head) - initial[1] * on_sum
    return on_score, on_value, scale * total + through_max, -scale * on_sum, spread(scale, per_head) * on_values


def empty(score: Tensor, value: Tensor) -> States:
    """The state before any token: -inf, 0, 0 in at least float32."""
    wide = accumulation_dtype(value.dtype)
    batch, heads, channels = score.shape[0], score.shape[-1], value.shape[-1]
    return (
        score.new_full((batch, heads), -torch.inf, dtype=wide),
        score.new_zeros((batch, heads), dtype=wide),
        value.new_zeros((batch, channels), dtype=wide),
    )


def weight(score: Tensor, largest: Tensor) -> Tensor:
    """e^{score − largest}; 0 where the score is -inf, beside another -inf too."""
    return torch.where(score == -torch.inf, 0, torch.exp(score - largest))


def spread(heads: Tensor, per_head: int) -> Tensor:
    """(B, H) → (B, D), each head's number for all of its channels."""
    return heads.repeat_interleave(per_head, dim=-1)


def gather(channels: Tensor, per_head: int) -> Tensor:
    """(B, D) → (B, H), the sum over a head's channels."""
    return channels.unflatten(-1, (-1, per_head)).sum(-1) if per_head else channels
