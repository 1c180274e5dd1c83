"""RWKV-4's average of values, written as the loop it is.

    o_t = (n_{t−1} e^{m_{t−1}} + e^{u + k_t} v_t) / (d_{t−1} e^{m_{t−1}} + e^{u + k_t})
    m_t = max(w + m_{t−1}, k_t)
    n_t = e^{w + m_{t−1} − m_t} n_{t−1} + e^{k_t − m_t} v_t        d_t = e^{w + m_{t−1} − m_t} d_{t−1} + e^{k_t − m_t}

with n, d = 0 and m = −∞ before the first token and where reset_t. B batch, T time, D channels; w decay, u bonus. This
file is the definition; the form beside it promises to agree with it to the tolerances in statewise.testing.compare.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype


class WKVState(NamedTuple):
    """What is carried, (B, D) each: n = Σ e^{s − m} v and d = Σ e^{s − m} of decayed keys s, the largest being m."""

    numerator: Tensor
    denominator: Tensor
    maximum: Tensor


def wkv(
    decay: Tensor,
    bonus: Tensor,
    key: Tensor,
    value: Tensor,
    initial: WKVState | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, WKVState]:
    """Outputs (B, T, D) and the final state, one token at a time; plain autograd differentiates it.

    decay, bonus  (D,) w, at most 0 to forget, and u
    key, value    (B, T, D)
    initial       in at least float32; None where nothing came before
    reset         (B, T) bool, true where what came before the token is forgotten

    Outputs have the dtype of value, states that of accumulation. Nothing is checked. Takes T steps of B·D work.

    >>> zero, value = torch.zeros(1), torch.tensor([1.0, 3.0]).reshape(1, 2, 1)
    >>> wkv(zero, zero, torch.zeros(1, 2, 1), value)[0].flatten().tolist()
    [1.0, 2.0]
    """
    state = empty_state(key) if initial is None else initial
    outputs = []
    for t, (k, v) in enumerate(zip(key.unbind(1), value.unbind(1), strict=True)):
        if reset is not None:
            state = forgotten(state, reset[:, t, None])
        output, state = advance(decay, bonus, k, v, state)
        outputs.append(output)
    return torch.stack(outputs, 1) if outputs else value.new_empty(value.shape), WKVState(
        *(part.clone() for part in state)
    )


def advance(decay: Tensor, bonus: Tensor, key: Tensor, value: Tensor, state: WKVState) -> tuple[Tensor, WKVState]:
    """One token: key and value (B, D) and the state before them give the output (B, D) and the state after.

    >>> _, state = advance(torch.zeros(1), torch.zeros(1), *torch.ones(3, 1, 1)[:2], empty_state(torch.ones(1, 1, 1)))
    >>> [part.item() for part in state]
    [1.0, 1.0, 1.0]
    """
    numerator, denominator, before = state
    decay, bonus, k, v = (each.to(before.dtype) for each in (decay, bonus, key, value))

    largest = torch.maximum(before, bonus + k)
    past, present = torch.exp(before - largest), torch.exp(bonus + k - largest)
    output = (past * numerator + present * v) / (past * denominator + present)

    maximum = torch.maximum(decay + before, k)
    past, present = torch.exp(decay + before - maximum), torch.exp(k - maximum)
    after = WKVState(past * numerator + present * v, past * denominator + present, maximum)
    return output.to(value.dtype), after


def empty_state(key: Tensor) -> WKVState:
    """The state before any token, for keys (B, T, D): 0, 0 and −∞."""
    zeros = key.new_zeros((key.shape[0], key.shape[2]), dtype=accumulation_dtype(key.dtype))
    return WKVState(zeros, zeros.clone(), torch.full_like(zeros, -torch.inf))


def forgotten(state: WKVState, where: Tensor) -> WKVState:
    """The state with nothing in it where `where` (B, 1) is true."""
    numerator, denominator, maximum = state
    return WKVState(
        numerator.masked_fill(where, 0), denominator.masked_fill(where, 0), maximum.masked_fill(where, -torch.inf)
    )
