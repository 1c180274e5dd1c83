"""The matrix recurrence, written as the loop it is.

    S_t = diag(e^{g_t}) S_{t−1} + k_t v_tᵀ        y_t = S_tᵀ q_t        S_{t−1} is 0 where reset_t

B batch, T time, H heads, K key channels, V value channels. This file is the definition; the form beside it promises
to agree with it to the tolerances in statewise.testing.compare.
"""

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype


def matrix_scan(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    log_decay: Tensor | None = None,
    initial: Tensor | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Outputs (B, T, H, V) and the final state (B, H, K, V), one token at a time; plain autograd differentiates it.

    query, key  (B, T, H, K); H may be 1, shared by all heads
    value       (B, T, H, V)
    log_decay   (B, T, H), one for each head, or (B, T, H, K); −inf forgets all; None keeps all
    initial     (B, H, K, V) in at least float32; zeros where absent
    reset       (B, T) bool, true where the state before the token is zero

    Outputs have the dtype of value, states that of accumulation. Nothing is checked. Takes T steps of B·H·K·V work.

    >>> one = torch.ones(1, 3, 1, 1)
    >>> matrix_scan(one, one, one)[0].flatten().tolist()
    [1.0, 2.0, 3.0]
    """
    state = empty_state(key, value) if initial is None else initial
    decays = [None] * key.shape[1] if log_decay is None else log_decay.unbind(1)
    outputs = []
    tokens = zip(query.unbind(1), key.unbind(1), value.unbind(1), decays, strict=True)
    for t, (q, k, v, g) in enumerate(tokens):
        if reset is not None:
            state = state.masked_fill(reset[:, t, None, None, None], 0)
        y, state = advance(q, k, v, g, state)
        outputs.append(y)
    return torch.stack(outputs, 1) if outputs else value.new_empty(value.shape), state.clone()


def advance(
    query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor | None, state: Tensor
) -> tuple[Tensor, Tensor]:
    """One token: the output (B, H, V) and the next state.

    query, key  (B, H, K); value (B, H, V)
    log_decay   (B, H) or (B, H, K), or None
    state       (B, H, K, V) in at least float32

    >>> token, state = torch.ones(1, 1, 2), torch.ones(1, 1, 2, 2)
    >>> advance(token, token, token, torch.zeros(1, 1), state)[0].tolist()
    [[[4.0, 4.0]]]
    """
    wide = state.dtype
    if log_decay is not None:
        g = log_decay.to(wide)
        state = state * (g.unsqueeze(-1) if g.ndim == 3 else g[..., None, None]).exp()
    state = state + key.to(wide).unsqueeze(-1) * value.to(wide).unsqueeze(-2)
    output = (query.to(wide).unsqueeze(-2) @ state).squeeze(-2)
    return output.to(value.dtype), state


def empty_state(key: Tensor, value: Tensor) -> Tensor:
    """Zeros (B, H, K, V) for keys (B, T, H, K) and values (B, T, H, V)."""
    batch, _, heads, channels = value.shape
    return value.new_zeros((batch, heads, key.shape[-1], channels), dtype=accumulation_dtype(value.dtype))
