"""RMSNorm that a decoded token does not wait for.

On a CPU torch composes it of eight operations, a quarter of the time of a recurrent model's step.
"""

from torch import Tensor, nn

from statewise.ops import one_token


class RMSNorm(nn.RMSNorm):
    """As torch's, x / √(mean x² + ε) times a weight over the last axis, with one kernel for tokens (B, D) in inference.

    >>> RMSNorm(2, eps=0.0)(Tensor([[3.0, -3.0]])).tolist()
    [[1.0, -1.0]]
    """

    def forward(self, x: Tensor) -> Tensor:
        """x (…, D), normalised."""
        if x.ndim == 2 and self.eps is not None and one_token.infers(x, self.weight):
            return one_token.rms_norm(x, self.weight, self.eps)
        return super().forward(x)
