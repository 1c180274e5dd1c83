"""Mixers whose state is a matrix for each head, written by keys and read by queries.

    S_t = diag(e^{g_t}) S_{t−1} + k_t v_tᵀ        y_t = W_o · read(S_tᵀ q_t, gate(x_t))

B batch, T time, D width, H heads, K key channels and V value channels of a head.
"""

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.mixers.mixer import Mixer
from statewise.ops.matrix_scan import matrix_scan
from statewise.ops.matrix_scan.reference import advance


class MatrixState(NamedTuple):
    """memory (B, H, K, V), in at least float32."""

    memory: Tensor


class Projected(NamedTuple):
    """query and key (…, H, K), value (…, H, V), log_decay (…, H) or (…, H, K), or None where nothing is forgotten.

    gate  (…, H · V), what `read` takes beside the answers; None where it takes nothing
    """

    query: Tensor
    key: Tensor
    value: Tensor
    log_decay: Tensor | None
    gate: Tensor | None = None


class MatrixMixer(Mixer):
    """A mixer that is one matrix scan: subclasses say what is written, asked and forgotten, and what answers become.

    `memory_shape` (H, K, V) is set by the subclass. O(T·H·K·V) work, H·K·V values of state.
    """

    recurrent = True
    memory_shape: tuple[int, int, int]

    @abstractmethod
    def project(self, x: Tensor) -> Projected:
        """Queries, keys, values and log decays of tokens (…, D)."""

    @abstractmethod
    def read(self, answers: Tensor, gate: Tensor | None) -> Tensor:
        """Outputs (…, D) from what the memory answers (…, H, V) and the gate of `project`."""

    def forward(
        self, x: Tensor, state: MatrixState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, MatrixState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        before = None if state is None else state.memory
        query, key, value, log_decay, gate = self.project(x)
        answers, memory = matrix_scan(query, key, value, log_decay, before, reset=reset)
        return self.read(answers, gate), MatrixState(memory)

    def step(self, x: Tensor, state: MatrixState) -> tuple[Tensor, MatrixState]:
        """One token (B, D); see `Mixer.step`."""
        query, key, value, log_decay, gate = self.project(x)
        answer, memory = advance(query, key, value, log_decay, state.memory)
        return self.read(answer, gate), MatrixState(memory)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> MatrixState:
        """S_0 = 0."""
        return MatrixState(self.empty_memory(batch_size, *self.memory_shape, device=device, dtype=dtype))

    def empty_memory(self, *shape: int, device: torch.device | None, dtype: torch.dtype | None) -> Tensor:
        """Zeros where this mixer's parameters live, in at least float32."""
        wide = accumulation_dtype(dtype or next(self.parameters()).dtype)
        return self.empty(*shape, device=device, dtype=wide)
