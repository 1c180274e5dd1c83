"""Widths at which models of different stacks have as many parameters as each other."""

from dataclasses import replace
from functools import lru_cache

import torch

from statewise.core.errors import UsageError
from statewise.models import ModelConfig, build_model

STEP = 4
"""Widths are multiples of this: kernels work on several channels at once, and heads divide the width."""
WIDEST = 2**14
NEAR = 2
"""Steps beside the best width that are tried: not every mixer builds at every width."""


@lru_cache(maxsize=1024)
def count_parameters(config: ModelConfig) -> int:
    """How many parameters a model has; nothing is allocated for them.

    >>> count_parameters(ModelConfig(vocabulary=8, width=4, feed_forward=0, norm="none"))
    124
    """
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_model(config).parameters())


def at_parameters(config: ModelConfig, parameters: int) -> ModelConfig:
    """The model at the width, a multiple of 4, at which it comes nearest to so many parameters.

    Fewer than it has at width 4, or more than at 16,384, are a UsageError, which says what can be had.
    """
    low, high = 1, WIDEST // STEP
    while low < high:
        middle = (low + high) // 2
        low, high = (
            (low, middle)
            if count_parameters(replace(config, width=STEP * middle)) >= parameters
            else (middle + 1, high)
        )
    found = {}
    for steps in range(max(1, low - NEAR), low + NEAR + 1):
        try:
            candidate = replace(config, width=STEP * steps)
            found[candidate] = abs(count_parameters(candidate) - parameters)
        except UsageError:
            continue
    if not found:
        raise UsageError(f"model: {config.stack} cannot be built near width {STEP * low}; name a width")
    best = min(found, key=lambda candidate: found[candidate])
    least = count_parameters(replace(config, width=STEP))
    if not least <= parameters or best.width >= WIDEST:
        raise UsageError(
            f"model: {config.stack} cannot have {parameters:,} parameters: at width {STEP} it has {least:,}, and at "
            f"width {best.width:,} {count_parameters(best):,}"
        )
    return best
