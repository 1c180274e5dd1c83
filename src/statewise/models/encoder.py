"""The half of an encoder–decoder that reads the source: blocks that see a whole sequence.

Sequences lie on the right, padding on their left. B batch, S tokens, D width.
"""

from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.mixers import Attention, Mixer
from statewise.models.backbone import EMBEDDING_STD, Backbone, build_block, mixer_at
from statewise.models.bidirectional import Bidirectional, FullAttention
from statewise.models.block import Block
from statewise.models.config import ModelConfig


class Encoder(Backbone):
    """Embedded tokens (B, S, width) → outputs (B, S, width) and the final states of all blocks.

    Its stack is read as one of encoder layers: attention without a window sees every token; any other mixer stands for
    two of it, one from each end. Called with the `reset` of left padding, which changes no real token's output.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, nn.Identity(), encoder_block)
        self.head = nn.Identity()
        if self.places is not None:
            nn.init.normal_(self.places.weight, std=EMBEDDING_STD)

    def _check_tokens(self, tokens: Tensor, axes: tuple[str, ...]) -> None:
        if tokens.ndim != len(axes) + 1 or tokens.shape[-1] != self.config.width:
            raise UsageError(f"Encoder: tokens must be ({', '.join(axes)}, {self.config.width}), not {tokens.shape}")


def encoder_block(config: ModelConfig, layer: int) -> Block:
    """The block at place `layer`, from 0."""
    return build_block(config, layer, mixer=encoder_mixer(config, layer))


def encoder_mixer(config: ModelConfig, layer: int) -> Mixer:
    """What the stack's mixer at that place becomes in an encoder."""
    ahead = mixer_at(config, layer)
    if isinstance(ahead, Attention) and ahead.window is None:
        return FullAttention(ahead)
    return Bidirectional(ahead, mixer_at(config, layer))
