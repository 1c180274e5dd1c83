"""What can follow a prefix, and how it must be answered: prefixes with the same future need no two states.

N inputs, T tokens, t the length of a prefix. The future of a prefix is, for each token that may follow it, the
target there (or that it is not scored) and the future after it. All inputs being listed, the futures form a finite
graph without loops, which is built from the last token to the first.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np

from statewise.core.errors import UsageError
from statewise.tasks import UNSCORED

Ints = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Edge = tuple[int, int, int]

PAST_THE_END = -1
"""The token that fills rows shorter than the longest."""


@dataclass(frozen=True)
class Futures:
    """The futures of all prefixes of a list of inputs, numbered from 0; number 0 is that of a whole input.

    edges    of each future: (token, target or UNSCORED, future after it), tokens ascending
    domains  of each future: a number for its continuations and which of their positions are scored. Two futures
             that differ, with one domain, differ in a scored target
    at       for each t in 0 … T: the future of every prefix of that length, in lexicographic order
    """

    edges: list[tuple[Edge, ...]] = field(default_factory=list)
    domains: list[int] = field(default_factory=list)
    at: list[Ints] = field(default_factory=list)


def futures_of(tokens: Ints, targets: Ints, *, name: str) -> Futures:
    """The futures of inputs (N, T), shorter ones filled with PAST_THE_END and UNSCORED at their end.

    Targets that depend on tokens after them are a UsageError that starts with `name`.
    """
    order = np.lexsort(tokens.T[::-1])
    tokens, targets = tokens[order], targets[order]
    shared = _tokens_shared_with_the_row_before(tokens)
    futures = Futures()
    number: dict[tuple[Edge, ...], int] = {(): 0}
    domain_number: dict[tuple[tuple[int, bool, int], ...], int] = {(): 0}
    futures.edges.append(())
    futures.domains.append(0)
    after = np.zeros(int((shared < tokens.shape[1]).sum()), np.int64)
    futures.at.append(after[tokens[_firsts(shared, tokens.shape[1]), -1] != PAST_THE_END])
    for t in reversed(range(tokens.shape[1])):
        answers = _answers(tokens, targets, shared, t, name)
        children = _firsts(shared, t + 1)
        labels = list(zip(tokens[children, t].tolist(), answers.tolist(), after.tolist(), strict=True))
        parents = _firsts(shared, t)
        bounds = [*np.searchsorted(children, parents).tolist(), len(children)]
        after = np.zeros(len(parents), np.int64)
        for parent, (begin, end) in enumerate(itertools.pairwise(bounds)):
            edges = tuple(label for label in labels[begin:end] if label[0] != PAST_THE_END)
            if edges not in number:
                number[edges] = len(number)
                futures.edges.append(edges)
                domain = tuple((token, answer != UNSCORED, futures.domains[then]) for token, answer, then in edges)
                futures.domains.append(domain_number.setdefault(domain, len(domain_number)))
            after[parent] = number[edges]
        whole = tokens[parents, t - 1] != PAST_THE_END if t else np.ones(1, np.bool_)
        futures.at.append(after[whole])
    futures.at.reverse()
    return futures


def _tokens_shared_with_the_row_before(tokens: Ints) -> Ints:
    """For each of the sorted rows, how many first tokens it has in common with the row before it; −1 for the first."""
    differ = tokens[1:] != tokens[:-1]
    shared = np.where(differ.any(1), differ.argmax(1), tokens.shape[1])
    return np.concatenate([np.array([-1]), shared])


def _firsts(shared: Ints, length: int) -> Ints:
    """The first of the sorted rows with each prefix of this length."""
    return np.flatnonzero(shared < length)


def _answers(tokens: Ints, targets: Ints, shared: Ints, t: int, name: str) -> Ints:
    """The target at t for every prefix of t + 1 tokens; UNSCORED where no input scores it."""
    firsts = _firsts(shared, t + 1)
    column = targets[:, t]
    largest: Ints = np.maximum.reduceat(column, firsts)
    smallest = np.minimum.reduceat(np.where(column == UNSCORED, np.iinfo(np.int64).max, column), firsts)
    torn = np.flatnonzero((largest != UNSCORED) & (smallest != largest))
    if len(torn):
        read = tokens[firsts[torn[0]], : t + 1].tolist()
        raise UsageError(
            f"{name}: after {read} the target at {t} is {smallest[torn[0]]} or {largest[torn[0]]}, by what follows; "
            "a reader cannot know"
        )
    return largest
