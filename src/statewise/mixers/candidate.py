"""The activation of minGRU's and minLSTM's candidate."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from statewise.core.errors import UsageError


def positive(x: Tensor) -> Tensor:
    """g(u) = u + 1/2 for u ≥ 0, σ(u) below: continuous, positive, slope 1 above and at most 1/4 below.

    Source: Feng et al., arXiv 2410.01201, appendix B.

    >>> positive(torch.tensor([0.0, 1.0])).tolist()
    [0.5, 1.5]
    """
    # The two halves added rather than selected: half the time, and a NaN stays one.
    return torch.relu(x) + torch.sigmoid(x.clamp(max=0))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"g": positive, "tanh": torch.tanh, "identity": nn.Identity()}


def activation_of(mixer: str, name: str) -> Callable[[Tensor], Tensor]:
    """The activation called `name`, or a UsageError on behalf of `mixer`."""
    if name not in ACTIVATIONS:
        raise UsageError(f"{mixer}: activation is {name!r}; it must be one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
