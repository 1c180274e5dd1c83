"""Gated DeltaNet: a memory that replaces what it recalls at a key, and forgets the rest as each token decides.

    q, k, v = silu(conv(W x_t))        q, k of length 1 in each head        β = σ(W_β x_t)
    α = exp(−e^A softplus(W_α x_t + b))        S_t = α S_{t−1} + β k (v − α S_{t−1}ᵀ k)ᵀ
    y_t = W_o · (norm(S_tᵀ q / √K) ⊙ silu(W_g x_t))

Source: Yang et al., arXiv 2412.06464, §3.1 (the recurrence) and §3.4 (the layer); negative eigenvalues: Grazzi et al.,
arXiv 2411.12537.
"""

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.mixers.delta_mixer import DeltaMixer, glorot
from statewise.mixers.heads import head_size_of

PUBLISHED_HEAD_SIZE = 256
FASTEST, SLOWEST_STEP, LONGEST_STEP = 16.0, 1e-3, 1e-1


class GatedDeltaNet(DeltaMixer):
    """Gated DeltaNet, (B, T, width) → (B, T, width). O(T·H·K·V) work, H·K·V values of state and conv − 1 projections.

    width                       D
    head_size                   K, a divisor of the width; None is the largest not above 256, the published one
    heads                       H; None is as many as ¾ of the width has room for, at least 1 (published: 6 at 2048)
    value_expansion             V = value_expansion · K
    conv                        taps of the convolution of queries, keys and values; 0 leaves it out, and keeps silu
    gate                        multiply the normalised answers by silu of a linear map of the token
    allow_negative_eigenvalues  β up to 2: the transition may reflect along the key, not only shrink

    Defaults, epsilons and the start of α are those of the authors' layer (flash-linear-attention): e^A uniform up to
    16, softplus(b) log-uniform in [0.001, 0.1]. Linear maps have no bias and start uniform as Glorot's with a gain of
    2^−2.5, as in the first release of its DeltaNet; the convolution starts as torch's.

    >>> y, state = GatedDeltaNet(8, head_size=4)(torch.zeros(2, 5, 8))
    >>> y.shape, state.window.shape, state.memory.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 3, 16]), torch.Size([2, 1, 4, 8]))
    """

    def __init__(
        self,
        width: int,
        *,
        head_size: int | None = None,
        heads: int | None = None,
        value_expansion: int = 2,
        conv: int = 4,
        gate: bool = True,
        allow_negative_eigenvalues: bool = False,
    ) -> None:
        super().__init__(width)
        size = head_size_of("GatedDeltaNet", width, head_size, PUBLISHED_HEAD_SIZE)
        heads = max(3 * width // (4 * size), 1) if heads is None else heads
        for name, given in (("heads", heads), ("value_expansion", value_expansion)):
            if given < 1:
                raise UsageError(f"GatedDeltaNet: {name} is {given}; it must be at least 1")
        shape = (heads, size, value_expansion * size)
        self.make_layers(shape, conv=conv, gate=gate, allow_negative_eigenvalues=allow_negative_eigenvalues)
        self.forget = glorot(width, heads)
        # Kept off 0, whose logarithm no optimiser can move.
        self.log_speed = nn.Parameter(torch.empty(heads).uniform_(1e-2, FASTEST).log())
        step = torch.empty(heads).uniform_(log(SLOWEST_STEP), log(LONGEST_STEP)).exp()
        self.step_bias = nn.Parameter(step + (-(-step).expm1()).log())

    def log_decay(self, x: Tensor) -> Tensor:
        """−e^A softplus(W_α x + b), (…, H)."""
        wide = accumulation_dtype(x.dtype)
        step = F.softplus(self.forget(x).to(wide) + self.step_bias.to(wide))
        return -self.log_speed.to(wide).exp() * step
