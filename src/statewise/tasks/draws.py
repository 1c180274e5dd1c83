"""Draws that need several random words together, one row of words for each example."""

import numpy as np
import torch
from torch import Tensor

from statewise.core.random import Words

Ints = np.ndarray[tuple[int, int], np.dtype[np.int64]]
Floats = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def distinct(words: Words, bound: int) -> Ints:
    """Distinct integers in [0, bound), in uniform order: one for each word, (B, K) with K ≤ bound.

    >>> words = np.random.default_rng(0).integers(0, 2**64, size=(1, 4), dtype=np.uint64)
    >>> sorted(distinct(words, 4)[0].tolist())
    [0, 1, 2, 3]
    """
    count, drawn = words.shape
    rows, taken = np.arange(count), np.arange(drawn)
    chosen = taken + (words % (bound - taken).astype(np.uint64)).astype(np.int64)
    pool = np.tile(np.arange(bound), (count, 1))
    for i in taken:
        j = chosen[:, i]
        pool[:, i], pool[rows, j] = pool[rows, j], pool[:, i].copy()
    return pool[:, :drawn].copy()


def uniforms(words: Words) -> Floats:
    """Floats strictly between 0 and 1, one for each word."""
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def normals(words: Words) -> Tensor:
    """Standard normal float64, one for each word: the quantile function of a uniform one. At most 8.2 in size."""
    normal: Tensor = torch.special.ndtri(torch.from_numpy(uniforms(words)))
    return normal


def weighted_distinct(words: Words, weights: Floats, drawn: int) -> Ints:
    """`drawn` distinct places, (B, drawn), each next one drawn in proportion to the weights that are left.

    words    (B, N), one for each place
    weights  (1, N), positive

    The earliest of N exponential clocks with these rates ring in that order.
    """
    clocks = -np.log(uniforms(words)) / weights
    return np.argsort(clocks, axis=1, kind="stable")[:, :drawn]
