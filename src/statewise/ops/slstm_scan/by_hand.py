"""The sLSTM recurrence with its gradient written out: forward the same loop, backward one of fewer operations.

Of the backward, what depends on the forward alone is computed for all tokens at once; a loop over reversed time
carries the gradients of h, c, n and m. With a = log σ(f̃) + m_{t−1}, so that m_t = max(ĩ, a):

    ∂c += ∂h σ(õ)/n_t       ∂n −= ∂h h_t/n_t
    where a is the larger   f = 1:  ∂ĩ = i (∂c tanh z̃ + ∂n),           ∂a = ∂m − ∂ĩ
    where ĩ is              i = 1:  ∂a = f (∂c c_{t−1} + ∂n n_{t−1}),   ∂ĩ = ∂m − ∂a
    ∂f̃ = ∂a σ(−f̃)           ∂z̃ = ∂c i (1 − tanh² z̃)       ∂õ = ∂h (1 − σ(õ)) h_t
    and to the token before: ∂h = (∂ĩ, ∂f̃, ∂z̃, ∂õ) Rᵀ + what its output receives, ∂c ← f ∂c, ∂n ← f ∂n, ∂m = ∂a

∂R is one matrix product over all tokens.

B batch, T time, H heads, d channels of a head.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from statewise.ops.slstm_scan.reference import CellState, advance_from, restarted, stacked


def forward(gates: Tensor, recurrent: Tensor, initial: CellState, reset: Tensor | None) -> tuple[CellState, Tensor]:
    """States over time, each (H, T, B, d), and pre-activations (H, T, B, 4·d); arguments as `reference.slstm_scan`."""
    state, steps = initial, []
    for t, token in enumerate(gates.unbind(1)):
        if reset is not None:
            state = restarted(state, reset[:, t, :, None])
        activations = torch.baddbmm(token, state.hidden, recurrent)
        state = advance_from(activations, state)
        steps.append((*state, activations))
    likes = (*initial, gates[:, 0] if steps else gates.new_empty(gates.shape[0], *gates.shape[2:]))
    *states, activations = (stacked([step[i] for step in steps], like) for i, like in enumerate(likes))
    return CellState(*states), activations


def backward(
    recurrent: Tensor,
    initial: CellState,
    reset: Tensor | None,
    states: CellState,
    activations: Tensor,
    on_hidden: Tensor,
    on_final: CellState,
) -> tuple[Tensor, Tensor, CellState]:
    """Gradients of gates (H, T, B, 4·d), recurrent (H, d, 4·d) and the initial state, each (H, B, d).

    states, activations  what `forward` gave
    on_hidden, on_final  the gradients of hidden states (H, T, B, d) and of the final state
    """
    if not activations.shape[1]:
        return activations.clone(), torch.zeros_like(recurrent), CellState(*(part.clone() for part in on_final))
    shifted = (torch.cat([first[:, None], all_[:, :-1]], 1) for first, all_ in zip(initial, states, strict=True))
    before = CellState(*shifted)
    if reset is not None:
        before = restarted(before, reset[..., None])
    factors = _factors(activations, before, states)
    on_gates, on_initial = _backward_in_time(factors, recurrent, reset, on_hidden, on_final)
    return on_gates, before.hidden.flatten(1, 2).transpose(1, 2) @ on_gates.flatten(1, 2), on_initial


class Factors(NamedTuple):
    """What the backward multiplies with, each (H, T, B, d).

    hidden_to_cell, hidden_to_normaliser  ∂h in ∂c and ∂n
    cell_to_gate, normaliser_to_gate      ∂c and ∂n in the gradient through the gate that is not 1
    writes                                whether the input gate is 1
    keep                                  the forget gate
    to_activations                        (∂ĩ, ∂a, ∂c, ∂h) in those of the pre-activations, (H, T, B, 4·d)
    """

    hidden_to_cell: Tensor
    hidden_to_normaliser: Tensor
    cell_to_gate: Tensor
    normaliser_to_gate: Tensor
    writes: Tensor
    keep: Tensor
    to_activations: Tensor


def _factors(activations: Tensor, before: CellState, after: CellState) -> Factors:
    write, forget, candidate, out = activations.chunk(4, -1)
    kept = before.stabiliser + logsigmoid(forget)
    writes = write >= kept
    write, keep = torch.exp(write - after.stabiliser), torch.exp(kept - after.stabiliser)
    z, o = candidate.tanh(), out.sigmoid()
    to_activations = (torch.ones_like(z), torch.sigmoid(-forget), write * (1 - z * z), (1 - o) * after.hidden)
    return Factors(
        hidden_to_cell=o / after.normaliser,
        hidden_to_normaliser=-after.hidden / after.normaliser,
        cell_to_gate=torch.where(writes, before.cell * keep, z * write),
        normaliser_to_gate=torch.where(writes, before.normaliser * keep, write),
        writes=writes,
        keep=keep,
        to_activations=torch.cat(to_activations, -1),
    )


def _backward_in_time(
    factors: Factors, recurrent: Tensor, reset: Tensor | None, on_hidden: Tensor, on_final: CellState
) -> tuple[Tensor, CellState]:
    """Gradients of the pre-activations of all tokens and of the initial state, from those of what came out."""
    h, c, n, m = on_final
    transposed = recurrent.transpose(1, 2)
    received = on_hidden.unbind(1)
    h = h + received[-1]
    steps, on_gates = list(zip(*(factor.unbind(1) for factor in factors), strict=True)), []
    for t in reversed(range(len(steps))):
        h_to_c, h_to_n, c_to_gate, n_to_gate, writes, keep, to_activations = steps[t]
        c, n = torch.addcmul(c, h, h_to_c), torch.addcmul(n, h, h_to_n)
        gate = torch.addcmul(c * c_to_gate, n, n_to_gate)
        write = torch.where(writes, m - gate, gate)
        m = m - write
        token = torch.cat([write, m, c, h], -1) * to_activations
        on_gates.append(token)
        through = token if reset is None else token.masked_fill(reset[:, t, :, None], 0)
        h = torch.baddbmm(received[t - 1], through, transposed) if t else through @ transposed
        c, n = c * keep, n * keep
    on_gates.reverse()
    return torch.stack(on_gates, 1), CellState(h, c, n, m)
