"""States of one reader for every length at once, which knows neither size nor position.

Two prefixes of any lengths conflict when a continuation that both admit, at whatever sizes, must be answered
differently; the reader holds the members of a clique apart. From above, an automaton is built that is right on
every input: a closed cover of the futures by sets without conflicts, as in the minimisation of incompletely specified
machines (Paull and Unger 1959).

Lengths beyond the largest size are not looked at, so what is counted may grow with it.
"""

import math
from typing import NamedTuple

import numpy as np

from statewise.bounds.bound import Bound
from statewise.bounds.closed_cover import smallest_automaton
from statewise.bounds.colouring import count_colours
from statewise.bounds.conflicts import Bools, answered_differently, edges_by_token
from statewise.bounds.count_states import states_shown
from statewise.bounds.futures import Futures, futures_of
from statewise.bounds.listed import every_input_up_to
from statewise.core.errors import UsageError
from statewise.tasks import Task

MOST_FUTURES = 2048
"""Futures of all lengths together whose conflicts are written out."""


class UniformStates(NamedTuple):
    """One reader for every size up to `size` needs at least the first number; an automaton with the second is right."""

    size: int
    at_least: int
    at_most: int
    futures: int

    @property
    def exact(self) -> bool:
        """Whether the two numbers meet."""
        return self.at_least == self.at_most

    @property
    def shown(self) -> str:
        """`4 exact` or `[4, 5]`."""
        return states_shown(self.at_least, self.at_most)


def count_uniform_bits(task: Task, size: int) -> Bound:
    """Bits of state of one reader for every size up to `size`, which knows neither size nor position, counted.

    Errors as `profile_states`; a task whose answers depend on the size and not only on the tokens is a UsageError.

    >>> from statewise.tasks import Parity
    >>> count_uniform_bits(Parity(), size=6).value
    1.0
    """
    return bound_of_uniform(uniform_states(task, size))


def bound_of_uniform(states: UniformStates) -> Bound:
    """The bits that one reader for every size requires.

    >>> bound_of_uniform(UniformStates(size=6, at_least=4, at_most=5, futures=9)).value
    2.0
    """
    tightness = "exact" if states.exact else f"at least {states.at_least:,} states are needed"
    return Bound(
        value=math.log2(states.at_least),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for=f"any one deterministic recurrent reader for every size up to {states.size}; {tightness}, "
        f"an automaton of {states.at_most:,} is right on all of them",
        assumes="transitions that do not depend on size or position; an answer may use the token just read",
        source=f"counted over {states.futures:,} futures of prefixes of every length: colours of the conflict graph",
    )


def uniform_states(task: Task, size: int) -> UniformStates:
    """The states behind `count_uniform_bits`; the same errors.

    >>> from statewise.tasks import Parity
    >>> uniform_states(Parity(), size=6).shown
    '2 exact'
    """
    tokens, targets = every_input_up_to(task, size)
    futures = futures_of(tokens, targets, name=f"{task.name}, at every size up to {size}")
    if len(futures.edges) > MOST_FUTURES:
        raise UsageError(
            f"{task.name}: {len(futures.edges):,} futures up to size {size}; one reader for all of them is counted for "
            f"at most {MOST_FUTURES:,}: take a smaller size"
        )
    conflicts = conflicts_of_all(futures)
    automaton = smallest_automaton(futures, conflicts)
    return UniformStates(size, count_colours(conflicts).at_least, len(automaton.settled), len(conflicts))


def conflicts_of_all(futures: Futures) -> Bools:
    """The conflicts among the futures (K, K) of prefixes of every length."""
    count = len(futures.edges)
    edges = edges_by_token(futures, np.arange(count))
    conflicts = np.zeros((count, count), np.bool_)
    for places, targets, _ in edges.values():
        conflicts[np.ix_(places, places)] |= answered_differently(targets)
    while True:
        before = conflicts.copy()
        for places, _, then in edges.values():
            conflicts[np.ix_(places, places)] |= conflicts[np.ix_(then, then)]
        if np.array_equal(conflicts, before):
            return conflicts
