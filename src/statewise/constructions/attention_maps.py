"""Linear attention as a trilinear form: what of its maps the outputs depend on.

    y_t = Σ_h O_h Σ_{s≤t} V_h x̄_s · (K_h x̄_s)ᵀ (Q_h x̄_t)        x̄ = (x; 1)

The outputs depend on the form T_{i,jk,l} = Σ_h sym_{jk} (O_h V_h)_{ij} (K_hᵀ Q_h)_{kl} alone. Unchanged are therefore
Q and K by Q → M⁻ᵀQ, K → MK; O and V likewise; a factor between values and scores; and an order of the heads.

H heads, K channels of a query, V of a value, D of an input, O of an output, C = D + 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.mixers import LinearAttention, Mixer, Retention


@dataclass(frozen=True)
class AttentionMaps:
    """The maps of a layer of linear attention, their last column for the 1 after x.

    query   (H, K, C)
    key     (H, K, C)
    value   (H, V, C)
    output  (O, H · V)
    bias    (O,), added to the output; None is 0
    """

    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor
    bias: Tensor | None = None

    @property
    def scores(self) -> Tensor:
        """K_hᵀ Q_h, (H, C, C)."""
        return self.key.mT @ self.query

    @property
    def moved(self) -> Tensor:
        """O_h V_h, (H, O, C): what of a token reaches the output where its score is 1."""
        output = self.output.unflatten(1, self.value.shape[:2]).transpose(0, 1)
        moved: Tensor = output @ self.value
        return moved

    @property
    def form(self) -> Tensor:
        """T (O, C, C, C), symmetric in its two middle axes, on which alone the outputs depend, the bias aside."""
        return trilinear(self.moved, self.scores)


def trilinear(moved: Tensor, scores: Tensor) -> Tensor:
    """T (O, C, C, C) from O_h V_h (H, O, C) and K_hᵀQ_h (H, C, C)."""
    product = torch.einsum("hij,hkl->ijkl", moved, scores)
    return (product + product.transpose(1, 2)) / 2


def attention_maps(layer: Mixer) -> AttentionMaps:
    """The maps of a `LinearAttention` with the identity as its feature map and no normaliser.

    Biases of its linear maps are taken along where somebody gave them some. Any other layer is a UsageError that names
    what stands in the way.

    >>> attention_maps(LinearAttention(6, head_size=3)).query.shape
    torch.Size([2, 3, 7])
    """
    layer = require_bare(layer)
    query, key, value = with_bias(layer.query_key_value).unflatten(0, (3, -1, layer.head_size)).unbind(0)
    bias = layer.output.bias
    return AttentionMaps(query, key, value, layer.output.weight.detach(), None if bias is None else bias.detach())


def require_bare(layer: Mixer) -> LinearAttention:
    """The layer itself, or a UsageError unless it is linear attention with nothing between its maps."""
    if isinstance(layer, Retention):
        raise UsageError(
            "to_gated_lru: the layer is a Retention, whose rotation, norm of each head and swish gate cannot be "
            "switched off and are no products of two linear maps; convert a LinearAttention, with decay= for its rates"
        )
    if not isinstance(layer, LinearAttention):
        raise UsageError(
            f"to_gated_lru: the layer is a {type(layer).__name__}; only a LinearAttention with feature_map='identity' "
            "and normalise=False is a product of linear maps"
        )
    if layer.feature_map != "identity" or layer.normalise:
        raise UsageError(
            f"to_gated_lru: the layer has feature_map={layer.feature_map!r} and normalise={layer.normalise}; only "
            "feature_map='identity' with normalise=False is a product of linear maps"
        )
    return layer


def with_bias(linear: nn.Linear) -> Tensor:
    """The weight of an affine map with its bias, or 0, as one more column: (…, C)."""
    weight = linear.weight.detach()
    bias = weight.new_zeros(len(weight)) if linear.bias is None else linear.bias.detach()
    return torch.cat([weight, bias[:, None]], 1)
