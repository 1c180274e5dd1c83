"""The model of tasks whose tokens are vectors: a backbone between two affine maps.

B batch, T time, C channels of a token, O channels of an answer.
"""

from typing import Any

from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.models.backbone import EMBEDDING_STD, Backbone
from statewise.models.config import ModelConfig


class Affine(nn.Linear):
    """An affine map that takes numbers of any floating dtype, in that of its weights: data are drawn in float32."""

    def forward(self, x: Tensor) -> Tensor:
        """(…, C) → (…, width)."""
        return super().forward(x.to(self.weight.dtype))


class VectorModel(Backbone):
    """A stack of blocks over vectors: tokens (B, T, C) → answers (B, T, O) and a state.

    Takes the fields of `ModelConfig` by name, `vocabulary` excepted; `channels` are C and O. The embedding is an affine
    map, so that products of its outputs contain constants, and the head a linear one. Vectors of any floating dtype are
    taken in that of the parameters.

    >>> import torch
    >>> model = VectorModel(channels=(6, 3), width=32, stack="linear-attention")
    >>> model(torch.zeros(2, 5, 6))[0].shape
    torch.Size([2, 5, 3])
    """

    def __init__(self, **settings: Any) -> None:
        config = ModelConfig(**settings)
        if config.channels is None:
            raise UsageError(
                f"VectorModel: channels is None and vocabulary is {config.vocabulary}; give the channels of a token "
                "and of an answer, or use LanguageModel"
            )
        inputs, outputs = config.channels
        super().__init__(config, Affine(inputs, config.width))
        self.head = nn.Linear(config.width, outputs, bias=False)
        if self.places is not None:
            nn.init.normal_(self.places.weight, std=EMBEDDING_STD)

    def _check_tokens(self, tokens: Tensor, axes: tuple[str, ...]) -> None:
        channels = self.embedding.in_features
        if tokens.ndim != len(axes) + 1 or tokens.shape[-1] != channels or not tokens.is_floating_point():
            raise UsageError(
                f"VectorModel: tokens must be floats of shape ({', '.join(axes)}, {channels}).\n"
                f"  tokens  {tuple(tokens.shape)} {tokens.dtype}"
            )
