"""Which futures cannot share a state: some continuation that both admit has to be answered differently.

K futures at a cut. Prefixes with one future never conflict and conflict with the same others, so the graph of futures
stands for that of prefixes: its cliques and colourings are the same.
"""

from typing import NamedTuple

import numpy as np

from statewise.bounds.futures import Futures, Ints
from statewise.tasks import UNSCORED

Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

MOST_FUTURES = 4096
"""Conflicts are written out for at most this many futures of one cut: 16 MiB."""


class Conflicts(NamedTuple):
    """The conflicts among the futures at one cut.

    futures  (K,) ascending
    matrix   (K, K) bool; None: not written out, futures of one domain conflict where they differ
    whole    whether these are all conflicts, or only some
    """

    futures: Ints
    matrix: Bools | None
    whole: bool


def conflicts_before(futures: Futures, t: int, after: Conflicts | None) -> Conflicts:
    """The conflicts at cut t from those at cut t + 1 (None: t is the end, where nothing is left to answer)."""
    present = np.unique(futures.at[t])
    if len({futures.domains[f] for f in present.tolist()}) == 1:
        return Conflicts(present, None, whole=True)
    if len(present) > MOST_FUTURES or after is None:
        return Conflicts(present, None, whole=False)
    return Conflicts(present, _matrix(futures, present, after), after.whole)


def same_domain(futures: Futures, chosen: Ints) -> Bools:
    """Which pairs of `chosen` (K,) differ and have the same continuations and scored positions: (K, K)."""
    domains = np.array(futures.domains)[chosen]
    pairs: Bools = (chosen[:, None] != chosen) & (domains[:, None] == domains)
    return pairs


def edges_by_token(futures: Futures, present: Ints) -> dict[int, tuple[Ints, Ints, Ints]]:
    """For each token: the places in `present` of the futures that admit it, their targets, and the futures after it."""
    found: dict[int, list[tuple[int, int, int]]] = {}
    for place, future in enumerate(present.tolist()):
        for token, target, then in futures.edges[future]:
            found.setdefault(token, []).append((place, target, then))
    return {token: tuple(np.array(edges, np.int64).T) for token, edges in found.items()}


def answered_differently(targets: Ints) -> Bools:
    """Which pairs of targets (E,) are both scored and differ: (E, E)."""
    scored = targets != UNSCORED
    pairs: Bools = (targets[:, None] != targets) & scored[:, None] & scored
    return pairs


def _matrix(futures: Futures, present: Ints, after: Conflicts) -> Bools:
    matrix = np.zeros((len(present), len(present)), np.bool_)
    for places, targets, then in edges_by_token(futures, present).values():
        matrix[np.ix_(places, places)] |= answered_differently(targets) | _looked_up(futures, then, after)
    return matrix


def _looked_up(futures: Futures, then: Ints, after: Conflicts) -> Bools:
    if after.matrix is None:
        return same_domain(futures, then)
    places = np.searchsorted(after.futures, then)
    return after.matrix[np.ix_(places, places)]
