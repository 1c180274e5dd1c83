"""Retention: linear attention whose memory fades at a fixed rate for each head, and turns as it goes.

    S_t = γ R(−θ) S_{t−1} + k_t v_tᵀ        y_t = W_o · (norm(S_tᵀ q_t / √d) ⊙ swish(W_g x_t))

R(θ) turns channel pairs by their rotary angles, so that what was written s tokens ago is met by R(−sθ) k: queries see
distances. γ of head h is 1 − 2^(−5−h).

Within one call the scan runs in a frame that stands still, queries and keys turned by their place; the state that is
carried is turned back to the last token, so that it needs no count of places.

Source: Sun et al., arXiv 2307.08621, §2.1 (recurrence), §2.2 (gate, norm, rates).
"""

import torch
from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.mixers.heads import head_size_of
from statewise.mixers.matrix_mixer import MatrixMixer, MatrixState, Projected
from statewise.mixers.rotary import rotate
from statewise.ops.matrix_scan import matrix_scan
from statewise.ops.matrix_scan.reference import advance

PUBLISHED_HEAD_SIZE = 256


class Retention(MatrixMixer):
    """Retention, (B, T, width) → (B, T, width). O(T·D·e·d) work, e·D·d values of state for key heads of d channels.

    width            D
    head_size        d, key channels of a head, a divisor of the width; None is the largest not above 256
    value_expansion  e, value channels for each key channel

    Weights start uniform as Glorot's with a gain of 2^−2.5, the output's with 1 (the authors' code, from memory).
    Rates are not trained.

    >>> y, state = Retention(8)(torch.zeros(2, 5, 8))
    >>> y.shape, state.memory.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 1, 8, 16]))
    """

    non_negative_decay = False

    def __init__(self, width: int, *, head_size: int | None = None, value_expansion: int = 2) -> None:
        super().__init__(width)
        if value_expansion < 1:
            raise UsageError(f"Retention: value_expansion is {value_expansion}; it must be at least 1")
        self.head_size = head_size_of("Retention", width, head_size, PUBLISHED_HEAD_SIZE)
        heads, values = width // self.head_size, value_expansion * width
        self.memory_shape = (heads, self.head_size, values // heads)
        self.query_key = nn.Linear(width, 2 * width, bias=False)
        self.value_gate = nn.Linear(width, 2 * values, bias=False)
        self.norm = nn.RMSNorm(values // heads, eps=1e-6, elementwise_affine=False)
        self.output = nn.Linear(values, width, bias=False)
        for layer in (self.query_key, self.value_gate):
            nn.init.xavier_uniform_(layer.weight, gain=2**-2.5)
        nn.init.xavier_uniform_(self.output.weight)

    def forward(
        self, x: Tensor, state: MatrixState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, MatrixState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        if x.shape[1] == 0:
            return x * 1.0, state
        query, key, value, log_decay, gate = self.project(x)
        places = torch.arange(x.shape[1], device=x.device).unsqueeze(-1)
        query, key = rotate(query, places), rotate(key, places)
        answers, memory = matrix_scan(query, key, value, log_decay, turned(state.memory, -1), reset=reset)
        return self.read(answers, gate), MatrixState(turned(memory, 1 - x.shape[1]))

    def step(self, x: Tensor, state: MatrixState) -> tuple[Tensor, MatrixState]:
        """One token (B, D); see `Mixer.step`."""
        query, key, value, log_decay, gate = self.project(x)
        answer, memory = advance(query, key, value, log_decay, turned(state.memory, -1))
        return self.read(answer, gate), MatrixState(memory)

    def project(self, x: Tensor) -> Projected:
        """q/√d, k and v, unturned, the log rates and the gate."""
        heads = self.memory_shape[0]
        query, key = self.query_key(x).unflatten(-1, (2, heads, -1)).unbind(-3)
        value, gate = self.value_gate(x).chunk(2, -1)
        rates = torch.log1p(-(2.0 ** (-5 - torch.arange(heads, device=x.device, dtype=torch.float64))))
        log_decay = rates.expand(*x.shape[:-1], heads)
        return Projected(query * self.head_size**-0.5, key, value.unflatten(-1, (heads, -1)), log_decay, gate)

    def read(self, answers: Tensor, gate: Tensor | None) -> Tensor:
        """Each head normalised, times the gate."""
        assert gate is not None
        y: Tensor = self.output(self.norm(answers).flatten(-2) * nn.functional.silu(gate))
        return y


def turned(memory: Tensor, places: int) -> Tensor:
    """A memory (B, H, K, V) with its key channels turned by so many places."""
    return rotate(memory.mT, torch.tensor(places, device=memory.device)).mT
