"""Drawing the next token from logits."""

import torch
import torch.nn.functional as F
from torch import Tensor

from statewise.core.errors import UsageError


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
    return torch.multinomial(F.softmax(logits / temperature, -1), 1, generator=generator)[:, 0]
