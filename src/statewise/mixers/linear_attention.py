"""Linear attention: attention without the softmax, whose state is one matrix for each head.

    q, k, v = W_q x_t, W_k x_t, W_v x_t        S_t = S_{t−1} + φ(k) vᵀ        y_t = W_o · S_tᵀ φ(q)
    normalised:  y_t = W_o · S_tᵀ φ(q) / (φ(q) · Σ_{s ≤ t} φ(k_s))

With φ the identity and no normaliser it is the layer that gated linear recurrences contain exactly (Zucchet et al.,
arXiv 2309.01775, §2).

Source: Katharopoulos et al., arXiv 2006.16236, §3.2 and 3.3 (φ = elu + 1, normalised).
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.errors import UsageError, pick
from statewise.mixers.heads import head_size_of
from statewise.mixers.matrix_mixer import MatrixMixer, Projected

PUBLISHED_HEAD_SIZE = 64
FEATURE_MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "elu": lambda x: F.elu(x) + 1,
    "relu": F.relu,
}
LEAST_WEIGHT = 1e-6
"""Stands in for a sum of weights that is smaller: all of them may be 0 where φ is relu."""


class LinearAttention(MatrixMixer):
    """Linear attention, (B, T, width) → (B, T, width). O(T·D·d) work, D·d values of state for heads of d channels.

    width        D
    head_size    d, a divisor of the width; None is the largest not above 64
    feature_map  φ of queries and keys: identity, elu (elu + 1) or relu
    normalise    divide by the sum of weights, whose state is D values more; needs a φ that is not negative

    Weights start as torch's linear maps do, without biases.

    >>> import torch
    >>> y, state = LinearAttention(8)(torch.zeros(2, 5, 8))
    >>> y.shape, state.memory.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 1, 8, 8]))
    """

    non_negative_decay = True

    def __init__(
        self, width: int, *, head_size: int | None = None, feature_map: str = "identity", normalise: bool = False
    ) -> None:
        super().__init__(width)
        self.head_size = head_size_of("LinearAttention", width, head_size, PUBLISHED_HEAD_SIZE)
        pick("feature map of LinearAttention", feature_map, FEATURE_MAPS)
        if normalise and feature_map == "identity":
            raise UsageError(
                "LinearAttention: normalise divides by a sum of weights, which the identity lets be zero or negative; "
                "pass feature_map='elu' or 'relu' with it"
            )
        self.feature_map, self.normalise = feature_map, normalise
        self.memory_shape = (width // self.head_size, self.head_size, self.head_size + normalise)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def project(self, x: Tensor) -> Projected:
        """φ(q), φ(k) and v, with a 1 beside v where the weights are summed up."""
        query, key, value = self.query_key_value(x).unflatten(-1, (3, -1, self.head_size)).unbind(-3)
        if self.normalise:
            value = F.pad(value, (0, 1), value=1.0)
        feature = FEATURE_MAPS[self.feature_map]
        return Projected(feature(query), feature(key), value, None)

    def read(self, answers: Tensor, gate: Tensor | None) -> Tensor:
        """The heads side by side, each over its sum of weights where that is asked for."""
        if self.normalise:
            answers = answers[..., :-1] / answers[..., -1:].clamp(min=LEAST_WEIGHT)
        y: Tensor = self.output(answers.flatten(-2))
        return y
