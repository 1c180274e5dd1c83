"""Reading and writing with a language model, token by token, in memory that does not grow with what was read.

    read      T  o  ,     b │ e         all but the last token go into the state; that one waits
    write                     e → ,     it is read when the next is asked for

So the state and the token that waits are all that is needed to go on: after a prompt, after a pause, on another day.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.models.backbone import Backbone, ModelState
from statewise.models.sampling import Sampling, check_draws

READ_AT_ONCE = 2**12
"""Tokens of each sequence that are read in one pass."""

PLAIN = Sampling()


class Decoder:
    """Sequences (B, …) that a model reads and writes.

    sampling   how tokens are chosen
    generator  for the draws; needed unless the temperature is 0
    state      to go on from; None begins
    remember   keep which tokens were read and written, even where `sampling` does not ask

    state    after all tokens but the one that waits
    waiting  (B,) int64: read or written last, not in the state yet; None before the first
    seen     (B, V) bool, or None where nobody asks
    count    tokens of each sequence, the one that waits among them
    """

    def __init__(
        self,
        model: Backbone,
        *,
        sampling: Sampling = PLAIN,
        generator: torch.Generator | None = None,
        state: ModelState | None = None,
        remember: bool = False,
    ) -> None:
        check_draws("generate", sampling.temperature, generator)
        self.model = model
        self.sampling = sampling
        self.generator = generator
        self.remember = remember or sampling.remembers
        self.state = state
        self.waiting: Tensor | None = None
        self.waiting_reset: Tensor | None = None
        self.marked: Tensor | None = None
        self.unmarked: list[Tensor] = []
        self.count = 0

    @property
    def seen(self) -> Tensor | None:
        """Which tokens each sequence has read or written. Marked when somebody asks: for each token it would cost."""
        self._mark_written()
        return self.marked

    @torch.no_grad()
    def read(self, tokens: Tensor, *, reset: Tensor | None = None) -> None:
        """Read tokens (B, T) int64, in pieces. reset (B, T) bool is true where a new sequence starts."""
        self.count += tokens.shape[1]
        if self.remember and tokens.shape[1]:
            self._mark(tokens)
        if self.waiting is not None:
            tokens = torch.cat([self.waiting[:, None], tokens], 1)
            if reset is not None:
                before = torch.zeros_like(reset[:, :1]) if self.waiting_reset is None else self.waiting_reset
                reset = torch.cat([before, reset], 1)
        if not tokens.shape[1]:
            return
        for start in range(0, tokens.shape[1] - 1, READ_AT_ONCE):
            places = slice(start, min(start + READ_AT_ONCE, tokens.shape[1] - 1))
            piece = None if reset is None else reset[:, places]
            _, self.state = self.model.read(tokens[:, places], self.state, reset=piece)
        self.waiting, self.waiting_reset = tokens[:, -1].clone(), None if reset is None else reset[:, -1:]

    @torch.no_grad()
    def write(self, length: int) -> Iterator[Tensor]:
        """Yield `length` tokens (B,) one by one. What is not asked for is not drawn. Nothing read is a UsageError."""
        for _ in range(length):
            seen = self.seen if self.sampling.remembers else None
            token = self.sampling.choose(self._logits(), seen, self.generator)
            self.waiting, self.waiting_reset, self.count = token, None, self.count + 1
            if self.remember:
                self.unmarked.append(token)
                if len(self.unmarked) >= READ_AT_ONCE:
                    self._mark_written()
            yield token

    def _logits(self) -> Tensor:
        """What the model says after the token that waits, which is read."""
        if self.waiting is None:
            raise UsageError("generate: the prompt is empty; it must hold at least one token")
        if self.waiting_reset is not None:
            every, self.state = self.model(self.waiting[:, None], self.state, reset=self.waiting_reset)
            last: Tensor = every[:, -1]
            return last
        state = self.model.initial_state(len(self.waiting)) if self.state is None else self.state
        logits, self.state = self.model.step(self.waiting, state)
        return logits

    def _mark_written(self) -> None:
        if self.unmarked:
            self._mark(torch.stack(self.unmarked, 1))
            self.unmarked = []

    def _mark(self, tokens: Tensor) -> None:
        if self.marked is None:
            vocabulary = self.model.config.vocabulary
            self.marked = torch.zeros(len(tokens), vocabulary, dtype=torch.bool, device=tokens.device)
        self.marked.scatter_(1, tokens, True)
