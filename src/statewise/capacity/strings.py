"""The strings that are read back: random ones, or every one where they are few."""

from decimal import Decimal

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import child_seed
from statewise.tasks import IndexLookup

MOST_STRINGS = 2**16
"""Up to this many, every string can be read."""


def strings_to_read(task: IndexLookup, size: int, strings: int | None, seed: int) -> tuple[Tensor, bool]:
    """Strings (strings, n) int64, and whether they are all there are, each once.

    strings  how many random ones of the capacity split; all k^n where that is no fewer, or with None
    """
    check_strings(task, size, strings)
    if strings is None or strings >= task.alphabet**size:
        return every_string(task.alphabet, size, seed), True
    return task.examples("capacity", seed=seed, start=0, count=strings, size=size).tokens[:, :size], False


def check_strings(task: IndexLookup, size: int, strings: int | None) -> None:
    """Raise a UsageError unless the meter can read that many strings of this size."""
    task.check_size(size)
    if strings is not None and strings < 2:
        raise UsageError(
            f"capacity: strings is {strings}; a confidence limit needs at least 2. Every string (None, --strings all) "
            f"needs no limit; they can be read up to {MOST_STRINGS:,}"
        )
    if strings is None and task.alphabet**size > MOST_STRINGS:
        raise UsageError(
            f"capacity: size {size} with alphabet {task.alphabet} has {task.alphabet}^{size} = "
            f"{Decimal(task.alphabet**size):.3g} strings; all of them can be read up to {MOST_STRINGS:,}. Say how many "
            "random ones to read, as in 256, or take smaller sizes"
        )


def every_string(alphabet: int, size: int, seed: int) -> Tensor:
    """Every string of `size` symbols, (k^n, n) int64, in random order: a place in a batch says nothing of a string."""
    generator = torch.Generator().manual_seed(child_seed(seed, "order of every string"))
    numbers = torch.randperm(alphabet**size, generator=generator)
    return numbers[:, None] // alphabet ** torch.arange(size) % alphabet
