"""DeltaNet: a memory that replaces what it recalls at a key, rather than adding to it.

    q, k, v = silu(conv(W x_t))        q, k of length 1 in each head        β = σ(W_β x_t)
    S_t = S_{t−1} + β k (v − S_{t−1}ᵀ k)ᵀ        y_t = W_o · norm(S_tᵀ q / √K)

Source: Yang et al., arXiv 2406.06484, §2.2 (the recurrence) and §3 (chunks, and the layer), after Schlag et al.,
arXiv 2102.11174; negative eigenvalues: Grazzi et al., arXiv 2411.12537.
"""

from torch import Tensor

from statewise.core.errors import UsageError
from statewise.mixers.delta_mixer import DeltaMixer
from statewise.mixers.heads import head_size_of

PUBLISHED_HEAD_SIZE = 128


class DeltaNet(DeltaMixer):
    """DeltaNet, (B, T, width) → (B, T, width). O(T·H·K·V) work, H·K·V values of state and conv − 1 of each projection.

    width                       D
    head_size                   a divisor of the width, H = width / head_size; None is the largest not above 128,
                                the published one
    key_expansion               K = key_expansion · head_size
    value_expansion             V = value_expansion · head_size
    conv                        taps of the convolution of queries, keys and values; 0 leaves it out, and keeps silu
    gate                        multiply the normalised answers by silu of a linear map of the token
    allow_negative_eigenvalues  β up to 2: the transition may reflect along the key, not only shrink

    Defaults and epsilons are those of the authors' layer (flash-linear-attention). Linear maps have no bias and start
    uniform as Glorot's with a gain of 2^−2.5, as in that layer's first release; the convolution starts as torch's.

    >>> import torch
    >>> y, state = DeltaNet(8, head_size=4)(torch.zeros(2, 5, 8))
    >>> y.shape, state.window.shape, state.memory.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 3, 24]), torch.Size([2, 2, 4, 4]))
    """

    def __init__(
        self,
        width: int,
        *,
        head_size: int | None = None,
        key_expansion: int = 1,
        value_expansion: int = 1,
        conv: int = 4,
        gate: bool = False,
        allow_negative_eigenvalues: bool = False,
    ) -> None:
        super().__init__(width)
        for name, given in (("key_expansion", key_expansion), ("value_expansion", value_expansion)):
            if given < 1:
                raise UsageError(f"DeltaNet: {name} is {given}; it must be at least 1")
        size = head_size_of("DeltaNet", width, head_size, PUBLISHED_HEAD_SIZE)
        shape = (width // size, key_expansion * size, value_expansion * size)
        self.make_layers(shape, conv=conv, gate=gate, allow_negative_eigenvalues=allow_negative_eigenvalues)

    def log_decay(self, x: Tensor) -> None:
        """Nothing is forgotten."""
