"""The delta rule with decay, written as the loop it is.

    S_t = diag(e^{g_t}) S_{t−1} − r_t (c_tᵀ S_{t−1}) + k_t v_tᵀ        y_t = S_tᵀ q_t        S_{t−1} is 0 where reset_t

B batch, T time, H heads, K key channels, V value channels; g log decay, c recall, r remove. The recall reads the state
before its decay. This file is the definition; the form beside it promises to agree with it to the tolerances in
statewise.testing.compare.
"""

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype


def delta_scan(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    recall: Tensor,
    remove: Tensor,
    log_decay: Tensor | None = None,
    initial: Tensor | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Outputs (B, T, H, V) and the final state (B, H, K, V), one token at a time; plain autograd differentiates it.

    query, key, recall, remove  (B, T, H, K)
    value                       (B, T, H, V)
    log_decay                   (B, T, H), one for each head, or (B, T, H, K); −inf forgets all; None keeps all
    initial                     (B, H, K, V) in at least float32; zeros where absent
    reset                       (B, T) bool, true where the state before the token is zero

    Outputs have the dtype of value, states that of accumulation. Nothing is checked. Takes T steps of B·H·K·V work.

    >>> one = torch.ones(1, 3, 1, 1)
    >>> delta_scan(one, one, 5 * one, one, one)[0].flatten().tolist()
    [5.0, 5.0, 5.0]
    """
    state = empty_state(key, value) if initial is None else initial
    decays = [None] * key.shape[1] if log_decay is None else log_decay.unbind(1)
    outputs = []
    tokens = zip(*(each.unbind(1) for each in (query, key, value, recall, remove)), strict=True)
    for t, ((q, k, v, c, r), g) in enumerate(zip(tokens, decays, strict=True)):
        if reset is not None:
            state = state.masked_fill(reset[:, t, None, None, None], 0)
        y, state = advance(q, k, v, c, r, g, state)
        outputs.append(y)
    return torch.stack(outputs, 1) if outputs else value.new_empty(value.shape), state.clone()


def advance(
    query: Tensor, key: Tensor, value: Tensor, recall: Tensor, remove: Tensor, log_decay: Tensor | None, state: Tensor
) -> tuple[Tensor, Tensor]:
    """One token: the output (B, H, V) and the next state.

    query, key, recall, remove  (B, H, K); value (B, H, V)
    log_decay                   (B, H) or (B, H, K), or None
    state                       (B, H, K, V) in at least float32

    >>> token, state = torch.ones(1, 1, 1), torch.full((1, 1, 1, 1), 7.0)
    >>> advance(token, token, 5 * token, token, token, None, state)[0].tolist()
    [[[5.0]]]
    """
    wide = state.dtype
    recalled = recall.to(wide).unsqueeze(-2) @ state
    if log_decay is not None:
        g = log_decay.to(wide)
        state = state * (g.unsqueeze(-1) if g.ndim == 3 else g[..., None, None]).exp()
    written = key.to(wide).unsqueeze(-1) * value.to(wide).unsqueeze(-2)
    state = state - remove.to(wide).unsqueeze(-1) * recalled + written
    output = (query.to(wide).unsqueeze(-2) @ state).squeeze(-2)
    return output.to(value.dtype), state


def empty_state(key: Tensor, value: Tensor) -> Tensor:
    """Zeros (B, H, K, V) for keys (B, T, H, K) and values (B, T, H, V)."""
    batch, _, heads, channels = key.shape
    return value.new_zeros((batch, heads, channels, value.shape[-1]), dtype=accumulation_dtype(value.dtype))
