"""The encoder–decoder: one half reads the source, the other writes the target, and a bridge says what crosses.

    source   A  dog  runs  ⟨end⟩                      target   ⟨begin⟩  Ein   Hund   läuft
                                     ── bridge ──▸    answer      Ein   Hund  läuft  ⟨end⟩

B batch, S tokens of the source, T of the target, D width, V vocabulary.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.core.padding import left_padding_reset
from statewise.core.state import gather_states
from statewise.models.backbone import EMBEDDING_STD, Backbone, ModelState, build_block
from statewise.models.bidirectional import real_tokens
from statewise.models.block import Block, BlockState
from statewise.models.bridge import StateBridge, require_final_state
from statewise.models.config import ModelConfig
from statewise.models.cross_attention import CrossAttention
from statewise.models.encoder import Encoder
from statewise.models.encoder_decoder_config import EncoderDecoderConfig

PAD, BEGIN, END = 0, 1, 2
"""Ids that no text has: padding, before the first token of a target, and after the last of either side."""


class TiedHead(nn.Module):
    """Logits by an embedding's own vectors: (…, D) → (…, V)."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        # In a tuple, so that the table is no second parameter under another name.
        self.table = (embedding,)

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) → (…, V)."""
        return F.linear(x, self.table[0].weight)


class Decoder(Backbone):
    """A language model whose head is its embedding, and whose blocks may read a memory."""

    def __init__(self, config: ModelConfig, *, reads_memory: bool) -> None:
        embedding = nn.Embedding(config.vocabulary, config.width)
        super().__init__(config, embedding, reading_block if reads_memory else build_block)
        self.head = TiedHead(embedding)
        for table in filter(None, (embedding, self.places)):
            nn.init.normal_(table.weight, std=EMBEDDING_STD)

    def _check_tokens(self, tokens: Tensor, axes: tuple[str, ...]) -> None:
        if tokens.ndim != len(axes) or tokens.dtype != torch.int64:
            raise UsageError(
                f"EncoderDecoder: the target must be int64 of shape ({', '.join(axes)}).\n"
                f"  target  {tuple(tokens.shape)} {tokens.dtype}"
            )


def reading_block(config: ModelConfig, layer: int) -> Block:
    """The block at place `layer`, with attention to a memory."""
    return build_block(config, layer, cross=CrossAttention(config.width))


class EncoderDecoder(nn.Module):
    """Pairs (B, T, 2) int64 → logits (B, T, V) for the target, and the decoder's state.

    Takes the fields of `EncoderDecoderConfig` by name. At [..., 0] of a pair is the source, at [..., 1] the target,
    each from the left, with PAD behind what is shorter; a source has at least one token. Both share one embedding,
    which is the head's too. Padding changes no answer.

    >>> model = EncoderDecoder(vocabulary=11, width=8, stack="mingru")
    >>> logits, state = model(torch.tensor([[[5, BEGIN], [6, 7], [END, 8]]]))
    >>> logits.shape
    torch.Size([1, 3, 11])
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.config = EncoderDecoderConfig(**settings)
        self.encoder = Encoder(self.config.source_half)
        self.decoder = Decoder(self.config.target_half, reads_memory=self.config.bridge == "attention")
        self.bridge: StateBridge | None = None
        if self.config.bridge == "state":
            require_final_state(self.encoder)
            self.bridge = StateBridge(self.encoder, len(self.decoder.blocks))
        self.dropout = nn.Dropout(self.config.dropout)

    @property
    def blocks(self) -> nn.ModuleList:
        """Those of both halves."""
        return nn.ModuleList([*self.encoder.blocks, *self.decoder.blocks])

    def forward(self, pairs: Tensor) -> tuple[Tensor, ModelState]:
        """Logits for the target after each of its tokens, and the state after the last."""
        if pairs.ndim != 3 or pairs.shape[-1] != 2 or pairs.dtype != torch.int64:
            raise UsageError(
                "EncoderDecoder: pairs must be int64 of shape (batch, time, 2), source and target side by side.\n"
                f"  pairs  {tuple(pairs.shape)} {pairs.dtype}"
            )
        source, target = pairs.unbind(-1)
        logits, state = cast(tuple[Tensor, ModelState], self.decoder(target, self.read(source)))
        return logits, state

    def read(self, source: Tensor) -> ModelState:
        """The state in which the decoder starts, after the encoder has read sources (B, S), PAD behind each.

        A source without a token is a UsageError.
        """
        lengths = (source != PAD).sum(1)
        if source.shape[1] == 0 or bool((lengths == 0).any()):
            raise UsageError("EncoderDecoder: a source is empty; it must have at least one token, such as END")
        longest = int(lengths.max())
        reset = left_padding_reset(lengths, longest)
        x = self.decoder.embedding(moved_right(source[:, :longest], lengths))
        encoded, final = self.encoder(self.dropout(x), reset=reset)
        return ModelState(self._crossing(encoded, final, reset), self.decoder.initial_state(len(source)).position)

    def step(self, token: Tensor, state: ModelState) -> tuple[Tensor, ModelState]:
        """Logits (B, V) after one more token (B,) of the target, BEGIN first, and the state after it."""
        return self.decoder.step(token, state)

    def _crossing(self, encoded: Tensor, final: ModelState, reset: Tensor) -> tuple[BlockState, ...]:
        """The states of the decoder's blocks before any token."""
        if self.bridge is not None:
            states: tuple[BlockState, ...] = self.bridge(final, self.decoder.blocks)
            return states
        real = real_tokens(reset)
        return tuple(reading(cast(Block, block), encoded, real) for block in self.decoder.blocks)


def within_sentences(state: ModelState, rows: Tensor) -> ModelState:
    """`gather_states` where each row goes to one of the same source: memories are left where they are."""
    blocks = tuple(
        gather_states(block._replace(memory=()), rows)._replace(memory=block.memory) for block in state.blocks
    )
    return ModelState(blocks, gather_states(state.position, rows))


def reading(block: Block, encoded: Tensor, real: Tensor) -> BlockState:
    """The state of a decoder's block before any token: its memory, and nothing read."""
    assert block.cross is not None, "a decoder with this bridge has attention to a memory in every block"
    return block.initial_state(len(encoded))._replace(memory=block.cross.remember(encoded, real))


def moved_right(source: Tensor, lengths: Tensor) -> Tensor:
    """Rows (B, S) whose padding is on the left, from rows with it on the right.

    >>> moved_right(torch.tensor([[5, 6, PAD]]), torch.tensor([2])).tolist()
    [[0, 5, 6]]
    """
    steps = torch.arange(source.shape[1], device=source.device)
    places = steps - (source.shape[1] - lengths)[:, None]
    return torch.where(places >= 0, source.gather(1, places.clamp(min=0)), PAD)
