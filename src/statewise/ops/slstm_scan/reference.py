"""The sLSTM recurrence: exponential gates with a stabiliser, and a recurrent matrix within each head.

    (ĩ, f̃, z̃, õ)_t = g_t + h_{t−1} R                          pre-activations
    m_t = max(ĩ, log σ(f̃) + m_{t−1})                           stabiliser
    i = e^{ĩ − m_t}    f = e^{log σ(f̃) + m_{t−1} − m_t}        no exponent is positive
    c_t = f c_{t−1} + i tanh(z̃)    n_t = f n_{t−1} + i         cell, normaliser
    h_t = σ(õ) c_t / n_t                                       hidden

with h, c and n zero and m = −∞ before the first token. One of i and f is 1, so n_t is at least 1.

B batch, T time, H heads, d channels of a head. This file is the definition; `by_hand.py` promises to agree with it to
the tolerances in statewise.testing.compare.

Source: Beck et al., "xLSTM: Extended Long Short-Term Memory", arXiv 2405.04517, equations 8 to 17, with the sigmoid
forget gate.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


class CellState(NamedTuple):
    """What is carried: hidden h, cell c, normaliser n and stabiliser m, all of one shape."""

    hidden: Tensor
    cell: Tensor
    normaliser: Tensor
    stabiliser: Tensor


def slstm_scan(
    gates: Tensor, recurrent: Tensor, initial: CellState, reset: Tensor | None = None
) -> tuple[Tensor, CellState]:
    """All hidden states and the state after the last token, one step at a time; plain autograd differentiates it.

    gates      (H, T, B, 4·d) g_t: the input's part of ĩ, f̃, z̃ and õ, side by side
    recurrent  (H, d, 4·d) R
    initial    each (H, B, d)
    reset      (H, T, B) bool, true where nothing came before the token

    Returns hidden (H, T, B, d) and the last state, each (H, B, d). Nothing is checked or converted.

    >>> gates, zeros = torch.zeros(1, 2, 1, 4), torch.zeros(1, 1, 1)
    >>> _, final = slstm_scan(gates, torch.zeros(1, 1, 4), CellState(zeros, zeros, zeros, zeros - torch.inf))
    >>> final.normaliser.item()
    1.5
    """
    state, hidden = initial, []
    # unbind, because the gradient of indexing in a loop takes T² memory.
    for t, token in enumerate(gates.unbind(1)):
        if reset is not None:
            state = restarted(state, reset[:, t, :, None])
        state = advance(token, recurrent, state)
        hidden.append(state.hidden)
    return stacked(hidden, initial.hidden), CellState(*(part.clone() for part in state))


def advance(gates: Tensor, recurrent: Tensor, state: CellState) -> CellState:
    """The state after one token: gates (H, B, 4·d), recurrent (H, d, 4·d), and the state before it, each (H, B, d)."""
    return advance_from(torch.baddbmm(gates, state.hidden, recurrent), state)


def advance_from(activations: Tensor, state: CellState) -> CellState:
    """The state after one token whose pre-activations, the recurrent part included, are (H, B, 4·d)."""
    write, forget, candidate, out = activations.chunk(4, -1)
    kept = state.stabiliser + logsigmoid(forget)
    stabiliser = torch.maximum(write, kept)
    write, keep = torch.exp(write - stabiliser), torch.exp(kept - stabiliser)
    cell = torch.addcmul(keep * state.cell, write, candidate.tanh())
    normaliser = torch.addcmul(write, keep, state.normaliser)
    return CellState(out.sigmoid() * cell / normaliser, cell, normaliser, stabiliser)


def stacked(parts: list[Tensor], like: Tensor) -> Tensor:
    """Parts (H, B, …) of every token, over time as (H, T, B, …); of no token, with the other axes of `like`."""
    return torch.stack(parts, 1) if parts else like.new_empty(like.shape[0], 0, *like.shape[1:])


def restarted(state: CellState, starts: Tensor) -> CellState:
    """The state, with nothing in it where `starts`."""
    empty = (0, 0, 0, -torch.inf)
    return CellState(*(part.masked_fill(starts, nothing) for part, nothing in zip(state, empty, strict=True)))
