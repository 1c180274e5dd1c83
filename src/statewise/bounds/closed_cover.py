"""An automaton that answers every input rightly: a closed cover of the futures by sets without conflicts.

K futures. A state is a set of futures of which no two conflict, and what follows its futures by one token lies in one
state: the minimisation of incompletely specified machines (Paull and Unger 1959), which is NP-hard and done greedily.
"""

from collections.abc import Callable

import numpy as np

from statewise.bounds.conflicts import Bools, edges_by_token
from statewise.bounds.futures import Futures, Ints
from statewise.tasks import UNSCORED


class Automaton:
    """Sets of futures by number; `after` says for the settled ones which set a token leads to."""

    def __init__(self, futures: Futures, conflicts: Bools) -> None:
        self.futures, self.conflicts, self.root = futures, conflicts, int(futures.at[0][0])
        self.sets: list[set[int]] = []
        self.after: dict[tuple[int, int], int] = {}
        self.settled: list[int] = []
        self.open: list[int] = []

    def new(self, members: set[int]) -> int:
        """An open set of these futures: its number."""
        self.sets.append(members)
        self.open.append(len(self.sets) - 1)
        return self.open[-1]

    def settle(self, reached: int) -> None:
        """Make a state of an open set."""
        members = self.sets[reached]
        self.sets[reached] = set()
        self.open.remove(reached)
        self.settled.append(reached)
        settled = self.absorb(reached, members)
        assert settled, "a set of futures without conflicts stays one with all that follows"

    def moved_into(self, state: int, reached: int) -> bool:
        """Put the futures of an open set into a state, if that is possible; else nothing is changed."""
        kept = [members.copy() for members in self.sets], self.after.copy(), self.open.copy()
        self.open.remove(reached)
        self.after = {edge: state if to == reached else to for edge, to in self.after.items()}
        if self.absorb(state, self.sets[reached]):
            return True
        self.sets, self.after, self.open = kept
        return False

    def absorb(self, state: int, members: set[int]) -> bool:
        """Add futures to a state, and what follows them where their tokens lead; whether nothing conflicted."""
        waiting = [(state, future) for future in members]
        while waiting:
            where, future = waiting.pop()
            if future in self.sets[where]:
                continue
            if self.conflicts[future, list(self.sets[where])].any():
                return False
            self.sets[where].add(future)
            if where in self.settled:
                waiting += [(self._led_to(where, token), then) for token, _, then in self.futures.edges[future]]
        return True

    def _led_to(self, state: int, token: int) -> int:
        if (state, token) not in self.after:
            self.after[state, token] = self.new(set())
        return self.after[state, token]


def shared_answers(futures: Futures) -> Ints:
    """How many scored continuations any two futures (K, K) have in common; on the diagonal, how many one has."""
    count = len(futures.edges)
    edges = edges_by_token(futures, np.arange(count)).values()
    shared = np.zeros((count, count), np.int64)
    for _ in range(len(futures.at)):
        longer = np.zeros_like(shared)
        for places, targets, then in edges:
            scored = targets != UNSCORED
            longer[np.ix_(places, places)] += (scored[:, None] & scored) + shared[np.ix_(then, then)]
        shared = longer
    return shared


def smallest_automaton(futures: Futures, conflicts: Bools) -> Automaton:
    """The smaller of two automata that answer every input rightly, both found greedily.

    Sets are settled in the order in which they are reached: in a state that can take them, or as a new one. The first
    automaton asks the states in their order; the second those that share most answers first, and makes a new state
    rather than take one that shares none.
    """
    shared = shared_answers(futures)

    def in_order(automaton: Automaton, _reached: int) -> list[int]:
        return automaton.settled.copy()

    def by_evidence(automaton: Automaton, reached: int) -> list[int]:
        members = list(automaton.sets[reached])
        if not shared[members, members].any():
            return automaton.settled.copy()
        evidence = {q: int(shared[np.ix_(members, list(automaton.sets[q]))].max()) for q in automaton.settled}
        return sorted((q for q in evidence if evidence[q]), key=lambda q: -evidence[q])

    found = [_settled(Automaton(futures, conflicts), choose) for choose in (in_order, by_evidence)]
    return min(found, key=lambda automaton: len(automaton.settled))


def _settled(automaton: Automaton, choose: Callable[[Automaton, int], list[int]]) -> Automaton:
    """Settle every set that is reached: in the first of the chosen states that can take it, or as a new one."""
    automaton.settle(automaton.new({automaton.root}))
    while automaton.open:
        reached = automaton.open[0]
        if not any(automaton.moved_into(state, reached) for state in choose(automaton, reached)):
            automaton.settle(reached)
    return automaton
