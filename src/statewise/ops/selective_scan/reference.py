"""The selective scan, written as the loop it is: a diagonal state space whose step, input and output maps are data.

    x_t = exp(δ_t A) x_{t−1} + δ_t B_t u_t        y_t = Σ_n C_t x_t        x_{t−1} is 0 where reset_t

B batch, T time, E channels, N state values of each channel. This file is the definition; the form beside it promises
to agree with it to the tolerances in statewise.testing.compare.
"""

import torch
from torch import Tensor


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    initial: Tensor | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Outputs (B, T, E) and the final state (B, E, N), one token at a time; plain autograd differentiates it.

    u        (B, T, E)
    delta    (B, T, E) step sizes, in at least float32
    A        (E, N) rates, in at least float32
    B, C     (B, T, N)
    initial  (B, E, N) in at least float32; zeros where absent
    reset    (B, T) bool, true where the state before the token is zero

    Outputs have the dtype of u, states that of delta. Nothing is checked. Takes T steps of B·E·N work.

    >>> one = torch.ones(1, 3, 1)
    >>> selective_scan(one, one, torch.zeros(1, 1), one, one)[0].flatten().tolist()
    [1.0, 2.0, 3.0]
    """
    state = empty_state(u, A) if initial is None else initial
    outputs = []
    tokens = zip(u.unbind(1), delta.unbind(1), B.unbind(1), C.unbind(1), strict=True)
    for t, (u_t, delta_t, B_t, C_t) in enumerate(tokens):
        if reset is not None:
            state = state.masked_fill(reset[:, t, None, None], 0)
        y, state = advance(u_t, delta_t, A, B_t, C_t, state)
        outputs.append(y)
    return torch.stack(outputs, 1) if outputs else u.new_empty(u.shape), state.clone()


def advance(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """One token: the output (B, E) and the next state (B, E, N) from u, delta (B, E), B, C (B, N).

    >>> one = torch.ones(1, 1)
    >>> advance(one, one, torch.zeros(1, 1), one, one, torch.ones(1, 1, 1))[0].tolist()
    [[2.0]]
    """
    wide = state.dtype
    drive = (delta * u.to(wide)).unsqueeze(-1) * B.to(wide).unsqueeze(1)
    state = (delta.unsqueeze(-1) * A).exp() * state + drive
    return (state @ C.to(wide).unsqueeze(-1)).squeeze(-1).to(u.dtype), state


def empty_state(u: Tensor, A: Tensor) -> Tensor:
    """Zeros (B, E, N) in the dtype of A."""
    return A.new_zeros((u.shape[0], *A.shape))
