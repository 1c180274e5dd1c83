"""mLSTM: a matrix memory with exponential input gates, kept in range by the largest exponent it holds.

    m_t = max(log σ(f_t) + m_{t−1}, i_t)        f′ = e^{log σ(f_t) + m_{t−1} − m_t}        i′ = e^{i_t − m_t}
    C_t = f′ C_{t−1} + i′ k_t v_tᵀ        n_t = f′ n_{t−1} + i′ k_t
    h_t = C_tᵀ q_t / (max(|n_t·q_t|, e^{−m_t}) + ε)
    y_t = W_o (σ(W_g x_t) ⊙ norm(h_t))        q scaled by 1/√K

f and i are one number for each head, both capped softly: c · tanh(pre-activation / c).

Source: Beck et al., arXiv 2405.04517, §2.3 (the cell); Beck et al., arXiv 2503.13427 (xLSTM 7B: this layer, its caps
and its sizes). At the start m is 0, as in the authors' kernels.
"""

from math import gcd
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.mixers.heads import largest_divisor
from statewise.mixers.mixer import Mixer
from statewise.ops.matrix_scan import matrix_scan
from statewise.ops.matrix_scan.reference import advance
from statewise.ops.max_plus_scan import max_plus_scan

PUBLISHED_HEADS, LEAST_NORMALISER = 4, 1e-6


class MLSTMState(NamedTuple):
    """memory (B, H, K, V), normaliser (B, H, K) and maximum (B, H), all in at least float32."""

    memory: Tensor
    normaliser: Tensor
    maximum: Tensor


class MLSTM(Mixer):
    """mLSTM, (B, T, width) → (B, T, width). O(T·D²/H) work, D²/(2·H) + D/2 + H values of state.

    width     D; keys have half of it, values all
    heads     H, a divisor of the width and of its half; None is the largest not above 4
    soft_cap  c of the gates, above 0; None leaves them as they are

    Gates start with weights of zero, i at −10 and f between 3 and 6 from the first head to the last (the authors' code
    of the 7B model, as transformers has it); the other maps as torch's do.

    >>> y, state = MLSTM(8)(torch.zeros(2, 5, 8))
    >>> y.shape, state.memory.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 4, 1, 2]))
    """

    recurrent = True
    # True of e^m C and e^m n, but what is carried is divided by a maximum, whose decay depends on the state.
    non_negative_decay = False

    def __init__(self, width: int, *, heads: int | None = None, soft_cap: float | None = 15.0) -> None:
        super().__init__(width)
        keys = max(width // 2, 1)
        self.heads = largest_divisor(gcd(keys, width), PUBLISHED_HEADS) if heads is None else heads
        if self.heads < 1 or keys % self.heads or width % self.heads:
            raise UsageError(
                f"MLSTM: heads is {heads}; it must divide the width, {width}, and the width of the keys, {keys}"
            )
        if soft_cap is not None and not soft_cap > 0:
            raise UsageError(f"MLSTM: soft_cap is {soft_cap}; it must be above 0, or None")
        self.soft_cap = soft_cap
        self.query_key = nn.Linear(width, 2 * keys, bias=False)
        self.value_gate = nn.Linear(width, 2 * width, bias=False)
        self.input_forget = nn.Linear(width, 2 * self.heads)
        self.norm_weight = nn.Parameter(torch.ones(width))
        self.output = nn.Linear(width, width, bias=False)
        with torch.no_grad():
            self.input_forget.weight.zero_()
            self.input_forget.bias[: self.heads] = -10.0
            self.input_forget.bias[self.heads :] = torch.linspace(3.0, 6.0, self.heads)

    def forward(
        self, x: Tensor, state: MLSTMState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, MLSTMState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        query, key, value, log_input, log_forget, gate = self._project(x)
        maximum, before = maxima(log_forget, log_input, state.maximum, reset)
        answers, memory = matrix_scan(
            query,
            key * (log_input - maximum).exp().unsqueeze(-1),
            value,
            log_forget + before - maximum,
            torch.cat([state.memory, state.normaliser.unsqueeze(-1)], -1),
            reset=reset,
        )
        last = torch.cat([state.maximum.unsqueeze(1), maximum], 1)[:, -1]
        return self._read(answers, maximum, gate), MLSTMState(memory[..., :-1], memory[..., -1], last)

    def step(self, x: Tensor, state: MLSTMState) -> tuple[Tensor, MLSTMState]:
        """One token (B, D); see `Mixer.step`."""
        query, key, value, log_input, log_forget, gate = self._project(x)
        maximum = torch.maximum(log_forget + state.maximum, log_input)
        answer, memory = advance(
            query,
            key * (log_input - maximum).exp().unsqueeze(-1),
            value,
            log_forget + state.maximum - maximum,
            torch.cat([state.memory, state.normaliser.unsqueeze(-1)], -1),
        )
        return self._read(answer, maximum, gate), MLSTMState(memory[..., :-1], memory[..., -1], maximum)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> MLSTMState:
        """C_0 = 0, n_0 = 0, m_0 = 0."""
        wide = accumulation_dtype(dtype or self.norm_weight.dtype)
        keys, values = self.query_key.out_features // 2 // self.heads, self.width // self.heads
        shapes = ((self.heads, keys, values), (self.heads, keys), (self.heads,))
        return MLSTMState(*(self.empty(batch_size, *shape, device=device, dtype=wide) for shape in shapes))

    def _project(self, x: Tensor) -> tuple[Tensor, ...]:
        """q/√K, k (…, H, K), v with a 1 beside it (…, H, V+1), i and log σ(f) (…, H), all in at least float32; and
        the output gate's pre-activations (…, D)."""
        wide = accumulation_dtype(x.dtype)
        query, key = self.query_key(x).to(wide).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        value, gate = self.value_gate(x).chunk(2, -1)
        value = F.pad(value.to(wide).unflatten(-1, (self.heads, -1)), (0, 1), value=1.0)
        gates = self.input_forget(x).to(wide)
        if self.soft_cap is not None:
            gates = self.soft_cap * torch.tanh(gates / self.soft_cap)
        log_input, forget = gates.chunk(2, -1)
        return query * query.shape[-1] ** -0.5, key, value, log_input, F.logsigmoid(forget), gate

    def _read(self, answers: Tensor, maximum: Tensor, gate: Tensor) -> Tensor:
        """Outputs (…, D) from what the memory answers (…, H, V+1)."""
        least = (-maximum).exp().unsqueeze(-1)
        hidden = answers[..., :-1] / (torch.maximum(answers[..., -1:].abs(), least) + LEAST_NORMALISER)
        normed = F.layer_norm(hidden, hidden.shape[-1:], eps=1e-6).flatten(-2).to(gate.dtype) * self.norm_weight
        y: Tensor = self.output(gate.sigmoid() * normed)
        return y


def maxima(log_forget: Tensor, log_input: Tensor, initial: Tensor, reset: Tensor | None) -> tuple[Tensor, Tensor]:
    """m_t and m_{t−1}, (B, T, H) each; what stands before a reset is 0, as at the start.

    log_forget, log_input  (B, T, H); initial (B, H); reset (B, T) bool
    """
    score = log_input
    if reset is not None:
        fresh = reset.unsqueeze(-1)
        score = torch.where(fresh, torch.maximum(log_forget, log_input), log_input)
    maximum = max_plus_scan(log_forget, score, initial, reset)
    before = torch.cat([initial.unsqueeze(1), maximum], 1)[:, :-1]
    return maximum, before if reset is None else before.masked_fill(fresh, 0)
