"""Drawing the next token from logits: what may be drawn, and the draw.

Filters are functions of logits (B, V), which they leave as they are; what may not be drawn is −inf in what they return.
They follow each other as in `Sampling.filtered`: repetition, temperature, the k likeliest, the likeliest of mass p, and
those of at least a share of the likeliest.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from statewise.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are chosen. The defaults draw from the model's own distribution.

    temperature         divides the logits; 0 takes the likeliest token
    top_k               draws from so many likeliest tokens; None from all
    top_p               draws from the fewest likeliest tokens whose probabilities reach this; 1 from all
    min_p               leaves out tokens with less than this share of the likeliest one's probability; 0 none
    repetition_penalty  divides positive logits of tokens that have been read or written, and multiplies negative ones;
                        1 leaves them

    Values outside these ranges are UsageErrors.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise UsageError(f"sampling: temperature is {self.temperature}; it must be at least 0")
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"sampling: top_k is {self.top_k}; it must be at least 1")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"sampling: top_p is {self.top_p}; it must be above 0 and at most 1")
        if not 0 <= self.min_p <= 1:
            raise UsageError(f"sampling: min_p is {self.min_p}; it must be from 0 to 1")
        if not 0 < self.repetition_penalty < math.inf:
            raise UsageError(f"sampling: repetition_penalty is {self.repetition_penalty}; it must be above 0")

    @property
    def remembers(self) -> bool:
        """Whether what was read before counts."""
        return self.repetition_penalty != 1

    def choose(self, logits: Tensor, seen: Tensor | None, generator: torch.Generator | None) -> Tensor:
        """A token for each row of logits (B, V) → (B,) int64.

        seen  (B, V) bool, the tokens of each row that were read or written; None where that does not count

        >>> Sampling(temperature=0, repetition_penalty=2).choose(
        ...     torch.tensor([[1.5, 2.0]]), torch.tensor([[False, True]]), None
        ... ).item()
        0
        """
        if self.remembers and seen is not None:
            logits = penalise_repetition(logits, seen, self.repetition_penalty)
        return draw(self.filtered(logits), 1.0 if self.temperature else 0, generator)

    def filtered(self, logits: Tensor) -> Tensor:
        """Logits (B, V) at the temperature, what may not be drawn at −inf; as they are at temperature 0."""
        if self.temperature == 0:
            return logits
        if self.temperature != 1:
            logits = logits / self.temperature
        if self.top_k is not None:
            logits = keep_top_k(logits, self.top_k)
        if self.top_p < 1:
            logits = keep_top_p(logits, self.top_p)
        if self.min_p > 0:
            logits = keep_min_p(logits, self.min_p)
        return logits


def penalise_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Logits (B, V) with those of seen tokens (B, V) bool made less likely, if the penalty is above 1.

    Source: Keskar et al. 2019, arXiv 1909.05858, §4.1, with the sign looked at, as in transformers.
    """
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """The k largest of each row, and what equals the least of them.

    >>> keep_top_k(torch.tensor([[1.0, 3.0, 2.0]]), 2)
    tensor([[-inf, 3., 2.]])
    """
    least = logits.topk(min(k, logits.shape[-1]), -1).values[..., -1:]
    return logits.masked_fill(logits < least, -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """The fewest largest of each row whose probabilities reach p; at least one.

    Source: Holtzman et al. 2020, arXiv 1904.09751.

    >>> keep_top_p(torch.tensor([[0.5, 0.3, 0.2]]).log(), 0.7)[0].isfinite()
    tensor([ True,  True, False])
    """
    ascending, order = logits.sort(-1)
    left_out = F.softmax(ascending, -1).cumsum(-1) <= 1 - p
    left_out[..., -1] = False
    return logits.masked_fill(torch.zeros_like(left_out).scatter(-1, order, left_out), -math.inf)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Those of each row whose probability is at least p times the largest.

    >>> keep_min_p(torch.tensor([[0.6, 0.3, 0.1]]).log(), 0.4)[0].isfinite()
    tensor([ True,  True, False])
    """
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True) + math.log(p), -math.inf)


def check_draws(where: str, temperature: float, generator: torch.Generator | None) -> None:
    """Raise a UsageError unless tokens can be drawn at this temperature."""
    if not temperature >= 0 or (temperature > 0 and generator is None):
        raise UsageError(
            f"{where}: temperature is {temperature} and generator is {generator}; pass temperature=0, or a "
            "positive temperature and a torch.Generator"
        )


def draw(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """A token for each row of logits (B, V) → (B,) int64: the likeliest at temperature 0, else drawn.

    >>> draw(torch.tensor([[0.0, 2.0, 1.0]]), 0, None).item()
    1
    """
    if temperature == 0:
        return logits.argmax(-1)
    scaled = logits if temperature == 1 else logits / temperature
    return torch.multinomial(F.softmax(scaled, -1), 1, generator=generator)[:, 0]
