"""Random words that are a function of their coordinates, and seeds split by name.

Philox is a counter-based generator: word number i of a stream is a function of (key, i), so an example
has the same bits whatever the batch that it arrives in, the order, or the number of workers.

    key      what is drawn (a task) and the seed
    counter  [block, 0, size, split]: splits and sizes lie in regions of the counter that never meet
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from statewise.core.errors import UsageError

WORDS_PER_BLOCK = 4
SPLITS = {"train": 0, "validation": 1, "test": 2, "capacity": 3}

Words = np.ndarray[tuple[int, int], np.dtype[np.uint64]]
Generator = torch.Generator | np.random.Generator


def child_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for one named use of `seed`; different names give unrelated seeds.

    >>> child_seed(0, "weights") == child_seed(0, "weights") != child_seed(0, "order")
    True
    """
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block under torch's CPU generator seeded with `seed`, and put the old state back.

    torch.nn initialises weights from the global generator and takes no other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def indexed_words(key: int, *, split: str, size: int, start: int, count: int, num_words: int) -> Words:
    """Uniform 64-bit words of the examples `start … start+count-1`: `(count, num_words)` uint64.

    Every example owns ceil(num_words / 4) blocks of the counter, so the words of example i do not depend
    on `start` or `count`.

    >>> one = indexed_words(7, split="train", size=5, start=3, count=1, num_words=6)
    >>> many = indexed_words(7, split="train", size=5, start=0, count=9, num_words=6)
    >>> bool((one[0] == many[3]).all())
    True
    """
    blocks = -(-num_words // WORDS_PER_BLOCK)
    first = start * blocks
    if first + count * blocks >= 2**64:
        raise UsageError(f"example {start + count} lies beyond the counter: {blocks} blocks for each example")
    counter = np.array([first, 0, size, SPLITS[split]], dtype=np.uint64)
    stream = np.random.Philox(key=key, counter=counter)
    words: Words = stream.random_raw(count * blocks * WORDS_PER_BLOCK).reshape(count, blocks * WORDS_PER_BLOCK)
    return words[:, :num_words]


def drawn_words(generator: Generator, count: int, num_words: int) -> Words:
    """Uniform 64-bit words from a generator of torch or NumPy: `(count, num_words)` uint64."""
    if isinstance(generator, np.random.Generator):
        return generator.integers(0, 2**64, size=(count, num_words), dtype=np.uint64)
    if isinstance(generator, torch.Generator):
        low, high = -(2**63), 2**63 - 1
        words = torch.randint(low, high, (count, num_words), generator=generator, device=generator.device)
        return words.cpu().numpy().view(np.uint64)
    raise UsageError(
        f"sample: generator is a {type(generator).__name__}; pass a torch.Generator or a numpy.random.Generator"
    )


def integers(words: Words, bound: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Integers in [0, bound) from uniform words. Each value's probability is off by at most 2^-64."""
    return (words % np.uint64(bound)).astype(np.int64)
