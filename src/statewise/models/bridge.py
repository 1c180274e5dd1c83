"""What crosses from an encoder to a decoder.

state      its final state alone, of a size that no source changes: each decoder layer starts as if it had read one
           token before the first, W_l · norm(final state) + b_l
attention  its outputs at every token of the source, as keys and values of each decoder layer

Where states cross, what the encoder's top block says is read by nobody: those of its maps that come after its mixers'
states get no gradient.

Source: Sutskever et al., arXiv 1409.3215 (state); Bahdanau et al., arXiv 1409.0473 (attention). That a layer starts by
reading a projection, rather than by having one as its state, is ours: so every state is one that its mixer can have,
positive in minGRU and normalised in Aaren.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.core.state import leaves
from statewise.mixers.first_value import FirstValue
from statewise.models.backbone import ModelState
from statewise.models.block import Block, BlockState
from statewise.models.encoder import Encoder


class StateBridge(nn.Module):
    """Projections of an encoder's final state, one for each layer of the decoder. O(S·D) work for each.

    encoder  a recurrent one: S are the numbers in the final states of its mixers, in both directions
    layers   of the decoder
    """

    def __init__(self, encoder: Encoder, layers: int) -> None:
        super().__init__()
        width = encoder.config.width
        numbers = sum(part.shape[1] for part in state_numbers(encoder.initial_state(1)))
        self.norm = nn.RMSNorm(numbers, eps=1e-6)
        self.projections = nn.ModuleList(nn.Linear(numbers, width) for _ in range(layers))

    def forward(self, final: ModelState, blocks: nn.ModuleList) -> tuple[BlockState, ...]:
        """The states in which a decoder's blocks start."""
        dtype = self.norm.weight.dtype
        held = self.norm(torch.cat([part.to(dtype) for part in state_numbers(final)], 1))
        states, first_value = [], FirstValue()
        for block, projection in zip(blocks, self.projections, strict=True):
            assert isinstance(block, Block)
            shared = {"first_value": first_value} if block.mixer.shares_value else {}
            _, mixer = block.mixer(projection(held)[:, None], **shared)
            states.append(block.initial_state(len(held))._replace(mixer=mixer))
        return tuple(states)


def state_numbers(state: ModelState) -> Iterator[Tensor]:
    """What an encoder's mixers hold, a (B, …) of real numbers for each tensor; counters hold nothing."""
    for block in state.blocks:
        for leaf in leaves(block.mixer):
            real = torch.view_as_real(leaf) if leaf.is_complex() else leaf
            if real.is_floating_point():
                yield real.flatten(1)


def require_final_state(encoder: Encoder) -> None:
    """Raise a UsageError unless the encoder's final state has one size for every source."""
    for name, block in zip(encoder.config.layers, encoder.blocks, strict=True):
        assert isinstance(block, Block)
        if not block.mixer.recurrent:
            raise UsageError(
                f"bridge is state, and {name} in the encoder {encoder.config.stack!r} has no final state of one size; "
                "take a recurrent encoder, or bridge attention"
            )
