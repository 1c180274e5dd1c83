"""Aaren: attention as an RNN. One learned query reads all tokens so far, through a state of constant size.

    q = W_q · query + b_q      k_t = W_k x_t + b_k      v_t = W_v x_t + b_v      s_t = q · k_t / √d
    y_t = W_o · concat over heads of Σ_{i ≤ t} e^{s_i} v_i / Σ_{i ≤ t} e^{s_i} + b_o

What a token weighs does not depend on who asks, so that numerator and denominator are sums that can be carried; they
are, as multiples of e^m, m the largest score so far.

B batch, T time, D width, H heads, d = D/H.
Source: Feng et al., "Attention as an RNN", arXiv 2405.13956, §3.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.mixers.heads import head_size_of
from statewise.mixers.mixer import Mixer
from statewise.ops.softmax_scan import SoftmaxState, softmax_scan

PUBLISHED_HEAD_SIZE = 64


class Aaren(Mixer):
    """Aaren, (B, T, width) → (B, T, width). O(T·D²) work, 2·H + D values of state, in at least float32.

    width      D
    head_size  d, a divisor of the width; None is the largest divisor not above 64

    Parameters are those of `Attention` and one vector, as in the paper's count: the learned query goes through the
    query projection. It starts as a standard normal vector, as a normalised token would be; the paper does not say.
    Scores need no keys: the layer multiplies tokens by q W_k, one row for each head.

    >>> layer = Aaren(8)
    >>> y, state = layer(torch.zeros(2, 5, 8))
    >>> y.shape, state.largest.shape, state.numerator.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 1]), torch.Size([2, 8]))
    """

    recurrent = True
    non_negative_decay = False

    def __init__(self, width: int, *, head_size: int | None = None) -> None:
        super().__init__(width)
        self.head_size = head_size_of("Aaren", width, head_size, PUBLISHED_HEAD_SIZE)
        self.query = nn.Parameter(torch.randn(width))
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(
        self, x: Tensor, state: SoftmaxState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, SoftmaxState]:
        """Outputs (B, T, D) and the state after the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        outputs, final = softmax_scan(*self._score_and_value(x), state, reset=reset)
        return self.output(outputs.to(x.dtype)), final

    def step(self, x: Tensor, state: SoftmaxState) -> tuple[Tensor, SoftmaxState]:
        """One token (B, D); see `Mixer.step`."""
        score, value = self._score_and_value(x)
        largest = torch.maximum(state.largest, score)
        old, fresh = torch.exp(state.largest - largest), torch.exp(score - largest)
        denominator = old * state.denominator + fresh
        before, token = (part.unflatten(-1, (-1, self.head_size)) for part in (state.numerator, value))
        numerator = old[..., None] * before + fresh[..., None] * token
        y = self.output((numerator / denominator[..., None]).flatten(-2).to(x.dtype))
        return y, SoftmaxState(largest, denominator, numerator.flatten(-2))

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> SoftmaxState:
        """No token yet: largest −∞, sums 0."""
        wide = accumulation_dtype(dtype or self.query.dtype)
        denominator = self.empty(batch_size, self.width // self.head_size, device=device, dtype=wide)
        numerator = self.empty(batch_size, self.width, device=device, dtype=wide)
        return SoftmaxState(torch.full_like(denominator, -torch.inf), denominator, numerator)

    def _score_and_value(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (…, H) and values (…, D) of tokens (…, D), in at least float32: scores are exponentiated."""
        of_query, of_key, of_value = self.query_key_value.weight.chunk(3)
        query_bias, key_bias, value_bias = self.query_key_value.bias.chunk(3)
        value = F.linear(x, of_value, value_bias)
        wide = accumulation_dtype(x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            query = F.linear(self.query.to(wide), of_query.to(wide), query_bias.to(wide)) / self.head_size**0.5
            query, of_key, key_bias = (
                each.to(wide).unflatten(0, (-1, self.head_size)) for each in (query, of_key, key_bias)
            )
            weight, bias = torch.einsum("hd,hdi->hi", query, of_key), (query * key_bias).sum(-1)
            return F.linear(x.to(wide), weight, bias), value.to(wide)
