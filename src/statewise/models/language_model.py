"""The language model: a backbone over token ids.

B batch, T time, D width, V vocabulary.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from statewise.core.errors import UsageError
from statewise.models.backbone import EMBEDDING_STD, Backbone, ModelState
from statewise.models.config import ModelConfig
from statewise.models.decoding import Decoder
from statewise.models.sampling import Sampling


class Head(nn.Linear):
    """Logits of states, (…, D) → (…, V), capped softly where `cap` is a number c: c · tanh(logits / c).

    >>> Head(4, 7, cap=2.0)(torch.ones(3, 4)).shape
    torch.Size([3, 7])
    """

    def __init__(self, width: int, vocabulary: int, *, cap: float | None = None) -> None:
        super().__init__(width, vocabulary, bias=False)
        self.cap = cap

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) → (…, V)."""
        logits = super().forward(x)
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)


class LanguageModel(Backbone):
    """A stack of blocks over a vocabulary: tokens (B, T) int64 → logits (B, T, V) and a state.

    Takes the fields of `ModelConfig` by name, `channels` excepted. Parallel over time in `forward`, constant work for
    each token in `step` (attention layers excepted, whose state grows).

    >>> model = LanguageModel(vocabulary=256, width=32, stack="mingru*2")
    >>> logits, state = model(torch.zeros(2, 5, dtype=torch.int64))
    >>> logits.shape
    torch.Size([2, 5, 256])
    """

    def __init__(self, **settings: Any) -> None:
        config = ModelConfig(**settings)
        if config.channels is not None:
            raise UsageError(
                f"LanguageModel: channels is {config.channels}; for tokens that are vectors use VectorModel"
            )
        embedding = nn.Embedding(config.vocabulary, config.width)
        super().__init__(config, embedding)
        self.head = Head(config.width, config.vocabulary, cap=config.logits_cap)
        for table in filter(None, (embedding, self.places)):
            nn.init.normal_(table.weight, std=EMBEDDING_STD)

    def generate(
        self,
        prompt: Tensor,
        length: int,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
        state: ModelState | None = None,
        reset: Tensor | None = None,
        sampling: Sampling | None = None,
    ) -> Iterator[Tensor]:
        """Yield `length` tokens (B,) that continue `prompt` (B, T) int64, T at least 1, one by one.

        temperature  divides the logits; 0 takes the likeliest token
        generator    for the draws; needed unless the temperature is 0
        state        from an earlier call, which the prompt continues; None starts anew
        reset        (B, T) bool, true where a new sequence starts: for prompts of different lengths, left-padded,
                     `statewise.core.padding.left_padding_reset`
        sampling     filters beside the temperature, and in its place; None draws from all tokens
        """
        if prompt.shape[1] == 0:
            raise UsageError("generate: the prompt is empty; it must hold at least one token")
        chosen = Sampling(temperature=temperature) if sampling is None else sampling
        decoder = Decoder(self, sampling=chosen, generator=generator, state=state)
        decoder.read(prompt, reset=reset)
        yield from decoder.write(length)

    def _check_tokens(self, tokens: Tensor, axes: tuple[str, ...]) -> None:
        if tokens.ndim != len(axes) or tokens.dtype != torch.int64:
            shape = "(batch, time)" if len(axes) == 2 else "(batch,)"
            raise UsageError(
                f"LanguageModel: tokens must be int64 of shape {shape}.\n  tokens  {tuple(tokens.shape)} {tokens.dtype}"
            )
