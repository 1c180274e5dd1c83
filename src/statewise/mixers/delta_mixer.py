"""Mixers that correct what their memory recalls: the layer around the delta rule, whatever it forgets.

    q, k, v = silu(conv(W x_t))        q, k of length 1 in each head        β = σ(W_β x_t)
    S_t = α S_{t−1} + β k (v − α S_{t−1}ᵀ k)ᵀ        y_t = W_o · (norm(S_tᵀ q / √K) ⊙ gate)

α is the decay that the subclass chooses, 1 if it forgets nothing.

B batch, T time, D width, H heads, K key channels and V value channels of a head, C = H·(2·K + V).
"""

from abc import abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.mixers.causal_conv import causal_conv, causal_conv_step, initial_weight
from statewise.mixers.mixer import Mixer
from statewise.ops.delta_scan import delta_scan
from statewise.ops.delta_scan.reference import advance

NORM_EPSILON, LENGTH_EPSILON = 1e-5, 1e-6


class DeltaState(NamedTuple):
    """window (B, taps − 1, C), the last projections; memory (B, H, K, V) in at least float32."""

    window: Tensor
    memory: Tensor


class Token(NamedTuple):
    """What `delta_scan` takes, (…, H, K), with value (…, H, V) and log_decay (…, H) or None."""

    query: Tensor
    key: Tensor
    value: Tensor
    recall: Tensor
    remove: Tensor
    log_decay: Tensor | None


class DeltaMixer(Mixer):
    """A mixer that is one delta scan behind a short convolution; subclasses say what is forgotten.

    Their constructors call `make_layers`:

    memory_shape                (H, K, V)
    conv                        taps of the convolution of queries, keys and values; 0 leaves it out, and keeps silu
    gate                        multiply the normalised answers by silu of a linear map of the token
    allow_negative_eigenvalues  β up to 2: the transition may reflect along the key, not only shrink

    Linear maps start uniform as Glorot's with a gain of 2^−2.5 and have no bias, as in the authors' first layers;
    the convolution starts as torch's.
    """

    recurrent = True
    non_negative_decay = False

    def make_layers(
        self, memory_shape: tuple[int, int, int], *, conv: int, gate: bool, allow_negative_eigenvalues: bool
    ) -> None:
        """All parameters but those of the decay; for the constructors of subclasses."""
        width = self.width
        if conv < 0:
            raise UsageError(f"{type(self).__name__}: conv is {conv}; it must be 0, for none, or a number of taps")
        heads, keys, values = self.memory_shape = memory_shape
        self.allow_negative_eigenvalues = allow_negative_eigenvalues
        self.query_key_value = glorot(width, heads * (2 * keys + values))
        self.conv_weight = initial_weight(conv, heads * (2 * keys + values)) if conv else None
        self.rate = glorot(width, heads)
        self.norm = nn.RMSNorm(values, eps=NORM_EPSILON)
        self.gate = glorot(width, heads * values) if gate else None
        self.output = glorot(heads * values, width)

    @abstractmethod
    def log_decay(self, x: Tensor) -> Tensor | None:
        """log α (…, H) of tokens (…, D) in at least float32, or None where α is 1."""

    def forward(
        self, x: Tensor, state: DeltaState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, DeltaState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        window, memory = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        mixed = self.query_key_value(x)
        if self.conv_weight is not None:
            mixed, window = causal_conv(mixed, window, self.conv_weight, None, reset)
        answers, memory = delta_scan(*self.token(mixed, x), memory, reset=reset)
        return self.read(answers, x), DeltaState(window, memory)

    def step(self, x: Tensor, state: DeltaState) -> tuple[Tensor, DeltaState]:
        """One token (B, D); see `Mixer.step`."""
        window, memory = state
        mixed = self.query_key_value(x)
        if self.conv_weight is not None:
            mixed, window = causal_conv_step(mixed, window, self.conv_weight)
        answer, memory = advance(*self.token(mixed, x), memory)
        return self.read(answer, x), DeltaState(window, memory)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> DeltaState:
        """No inputs yet, and S_0 = 0."""
        taps = 1 if self.conv_weight is None else len(self.conv_weight)
        wide = accumulation_dtype(dtype or self.output.weight.dtype)
        window = self.empty(batch_size, taps - 1, self.query_key_value.out_features, device=device, dtype=dtype)
        return DeltaState(window, self.empty(batch_size, *self.memory_shape, device=device, dtype=wide))

    def token(self, mixed: Tensor, x: Tensor) -> Token:
        """Queries, keys and values in at least float32, from the convolved projections (…, C) and the tokens (…, D)."""
        heads, keys, values = self.memory_shape
        wide = F.silu(mixed.to(accumulation_dtype(x.dtype)))
        query, key, value = wide.split([heads * keys, heads * keys, heads * values], -1)
        query, key = (of_length_one(each.unflatten(-1, (heads, keys))) for each in (query, key))
        rate = (2 if self.allow_negative_eigenvalues else 1) * self.rate(x).to(wide.dtype).sigmoid().unsqueeze(-1)
        written, log_decay = rate * key, self.log_decay(x)
        recall = key if log_decay is None else log_decay.exp().unsqueeze(-1) * key
        return Token(query * keys**-0.5, written, value.unflatten(-1, (heads, values)), recall, written, log_decay)

    def read(self, answers: Tensor, x: Tensor) -> Tensor:
        """Outputs (…, D) from what the memory answers (…, H, V) and the tokens (…, D)."""
        weight = self.norm.weight.to(answers.dtype)
        normed = F.rms_norm(answers, weight.shape, weight, NORM_EPSILON).flatten(-2)
        gated = normed if self.gate is None else normed * F.silu(self.gate(x).to(normed.dtype))
        outputs: Tensor = self.output(gated.to(x.dtype))
        return outputs


def of_length_one(x: Tensor) -> Tensor:
    """x / √(|x|² + ε) along the last axis: the authors' form, whose gradient exists at 0.

    >>> of_length_one(torch.tensor([3.0, 4.0])).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    return x * (x.square().sum(-1, keepdim=True) + LENGTH_EPSILON).rsqrt()


def glorot(inputs: int, outputs: int) -> nn.Linear:
    """A linear map without bias, uniform as Glorot's with a gain of 2^−2.5.

    >>> glorot(2, 3).bias is None
    True
    """
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.xavier_uniform_(layer.weight, gain=2**-2.5)
    return layer
