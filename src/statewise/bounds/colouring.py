"""How many colours a graph needs, neighbours differing: a clique from below, a colouring from above.

V vertices; a set of vertices is a Python integer, bit v for vertex v. Everything is deterministic and counted in
steps, never in seconds, so that the answer is the same on every machine.
"""

from typing import NamedTuple

import numpy as np

from statewise.bounds.conflicts import Bools

MOST_STEPS = 20_000
"""Vertices that one search may take up before it stops."""

MOST_LOOKS = 4_000_000
"""Vertices that one search for a colouring may look at; each step looks at all that have no colour."""

MOST_SEARCHED = 1024
"""Vertices of the largest graph whose colourings are searched."""

MOST_SEARCHED_FOR_CLIQUES = 400
"""Vertices of the largest graph whose cliques are searched: one call deeper with each vertex of the clique."""

MOST_COMPARED = 2048
"""Vertices of the largest graph whose neighbourhoods are compared with each other."""

STARTS = 64
"""Vertices from which cliques are grown."""


class Colours(NamedTuple):
    """The chromatic number lies in [at_least, at_most]."""

    at_least: int
    at_most: int


def count_colours(adjacent: Bools) -> Colours:
    """Bounds on the chromatic number of a graph (V, V), symmetric and without loops; equal where it was found.

    A greedy clique and a greedy colouring; where they do not meet and the graph is small, for each number of colours
    between them a search with backtracking that finds a colouring or proves that there is none.

    >>> ring = np.roll(np.eye(5, dtype=bool), 1, axis=1)
    >>> count_colours(ring | ring.T)
    Colours(at_least=3, at_most=3)
    """
    neighbours = neighbour_sets(without_dominated(adjacent))
    clique = large_clique(neighbours)
    at_least, at_most = len(clique), greedy_colours(neighbours)
    if len(neighbours) > MOST_SEARCHED:
        return Colours(at_least, at_most)
    while at_least < at_most:
        try:
            enough = colourable(neighbours, clique, colours=at_least)
        except OutOfStepsError:
            at_most = min(at_most, fewest_found(neighbours, clique, at_least + 1, at_most))
            break
        at_least, at_most = (at_least, at_least) if enough else (at_least + 1, at_most)
    return Colours(at_least, at_most)


def fewest_found(neighbours: list[int], clique: list[int], at_least: int, at_most: int) -> int:
    """The fewest colours, from `at_most` down to `at_least`, for which the search finds a colouring in its steps."""
    while at_most > at_least:
        try:
            if not colourable(neighbours, clique, colours=at_most - 1):
                break
        except OutOfStepsError:
            break
        at_most -= 1
    return at_most


def without_dominated(adjacent: Bools) -> Bools:
    """The graph without vertices whose neighbours are all neighbours of another: they can take its colour."""
    while 1 < len(adjacent) <= MOST_COMPARED:
        real = adjacent.astype(np.float32)
        degrees = real.sum(1)
        inside = (real @ real) == degrees[:, None]
        twins = inside & inside.T
        dominated = inside & (~twins | np.tri(len(adjacent), k=-1, dtype=np.bool_))
        np.fill_diagonal(dominated, False)
        kept = ~dominated.any(1)
        if kept.all():
            break
        adjacent = adjacent[np.ix_(kept, kept)]
    return adjacent


def neighbour_sets(adjacent: Bools) -> list[int]:
    """The neighbours of every vertex, as bits."""
    packed = np.packbits(adjacent, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def large_clique(neighbours: list[int]) -> list[int]:
    """The largest clique that is found: grown greedily from many vertices, and searched for in a small graph."""
    starts = sorted(range(len(neighbours)), key=lambda v: -neighbours[v].bit_count())[:STARTS]
    clique: list[int] = max((_grown(neighbours, [start], neighbours[start]) for start in starts), key=len, default=[])
    if len(neighbours) > MOST_SEARCHED_FOR_CLIQUES:
        return clique
    search = _CliqueSearch(neighbours, clique)
    search.extend([], (1 << len(neighbours)) - 1)
    return search.best


class _CliqueSearch:
    """Branch and bound: a set that can be coloured with c colours holds no clique of more than c."""

    def __init__(self, neighbours: list[int], best: list[int]) -> None:
        self.neighbours, self.best, self.steps_left = neighbours, best, MOST_STEPS

    def extend(self, clique: list[int], candidates: int) -> None:
        """Look for a larger clique than the best among those that extend this one by candidates."""
        if len(clique) > len(self.best):
            self.best = clique
        for vertex, colours in reversed(self.coloured(candidates)):
            if len(clique) + colours <= len(self.best) or self.steps_left == 0:
                return
            self.steps_left -= 1
            self.extend([*clique, vertex], candidates & self.neighbours[vertex])
            candidates &= ~(1 << vertex)

    def coloured(self, vertices: int) -> list[tuple[int, int]]:
        """The vertices with how many colours a greedy colouring has used up to each."""
        found, colours = [], 0
        while vertices:
            colours, free = colours + 1, vertices
            while free:
                vertex = (free & -free).bit_length() - 1
                found.append((vertex, colours))
                free &= ~(self.neighbours[vertex] | 1 << vertex)
                vertices &= ~(1 << vertex)
        return found


def _grown(neighbours: list[int], clique: list[int], candidates: int) -> list[int]:
    while candidates:
        best = max(members(candidates), key=lambda v: (neighbours[v] & candidates).bit_count())
        clique.append(best)
        candidates &= neighbours[best]
    return clique


def members(vertices: int) -> list[int]:
    """The vertices of a set, ascending.

    >>> members(0b1010)
    [1, 3]
    """
    found = []
    while vertices:
        lowest = vertices & -vertices
        found.append(lowest.bit_length() - 1)
        vertices ^= lowest
    return found


class OutOfStepsError(Exception):
    """The search coloured as many vertices as it may and has found neither a colouring nor a proof."""


def greedy_colours(neighbours: list[int]) -> int:
    """Colours that are enough: each colour takes, by falling degree, every vertex that it still can."""
    left = sorted(range(len(neighbours)), key=lambda v: -neighbours[v].bit_count())
    colours = 0
    while left:
        blocked, passed = 0, []
        for vertex in left:
            if blocked >> vertex & 1:
                passed.append(vertex)
            else:
                blocked |= neighbours[vertex]
        left, colours = passed, colours + 1
    return colours


def colourable(neighbours: list[int], clique: list[int], *, colours: int) -> bool:
    """Whether `colours` are enough: a search that colours the clique first, then the most constrained vertex.

    That is the one that sees the most colours, then the one with the most neighbours (DSATUR, Brélaz 1979). One
    colour not yet in use stands for all of them. Raises OutOfStepsError where it takes too long.
    """
    if len(clique) > colours:
        return False
    search = _Search(neighbours, colours, min(MOST_STEPS, max(len(neighbours), MOST_LOOKS // len(neighbours))))
    for colour, vertex in enumerate(clique):
        search.give(vertex, colour)
    return search.finish(len(clique))


class _Search:
    def __init__(self, neighbours: list[int], most_colours: int, most_steps: int) -> None:
        self.neighbours, self.most_colours, self.steps_left = neighbours, most_colours, most_steps
        self.colours = [-1] * len(neighbours)
        self.left = set(range(len(neighbours)))
        self.classes = [0] * most_colours

    def give(self, vertex: int, colour: int) -> None:
        self.colours[vertex] = colour
        self.left.remove(vertex)
        self.classes[colour] |= 1 << vertex

    def take_back(self, vertex: int) -> None:
        self.classes[self.colours[vertex]] ^= 1 << vertex
        self.colours[vertex] = -1
        self.left.add(vertex)

    def finish(self, used: int) -> bool:
        """Colour what is left, `used` colours being in use; whether it went."""
        tried: list[tuple[int, int, int]] = []
        while self.left:
            vertex = max(self.left, key=lambda v: (self.seen(v, used), self.neighbours[v].bit_count(), -v))
            colour = self.next_colour(vertex, 0, used)
            while colour is None:
                if not tried:
                    return False
                vertex, last, used = tried.pop()
                self.take_back(vertex)
                colour = self.next_colour(vertex, last + 1, used)
            if self.steps_left == 0:
                raise OutOfStepsError
            self.steps_left -= 1
            self.give(vertex, colour)
            tried.append((vertex, colour, used))
            used = max(used, colour + 1)
        return True

    def next_colour(self, vertex: int, first: int, used: int) -> int | None:
        """The first colour from `first` on that no neighbour has, at most one beyond those in use."""
        colours = range(first, min(used + 1, self.most_colours))
        return next((colour for colour in colours if not self.classes[colour] & self.neighbours[vertex]), None)

    def seen(self, vertex: int, used: int) -> int:
        near = self.neighbours[vertex]
        return sum(1 for members_of in self.classes[:used] if members_of & near)
