"""Prefixes that no state may join, counted over a task's own inputs: what a closed form is held against."""

from collections import defaultdict
from itertools import combinations

import torch

from statewise.tasks.task import UNSCORED, Batch


def conflict_graph(task, size, cut):
    """Which prefixes of length `cut` some common continuation asks for different answers, up to that answer."""
    tokens = torch.stack(list(task.inputs(size)))
    targets = task.solve(Batch(tokens, tokens, tokens >= 0))
    answers = defaultdict(dict)
    for word, wanted in zip(tokens.tolist(), targets.tolist(), strict=True):
        for t in range(cut, len(word)):
            if wanted[t] != UNSCORED:
                answers[tuple(word[:cut])][tuple(word[cut : t + 1])] = wanted[t]
    graph = {prefix: set() for prefix in answers}
    for one, other in combinations(answers, 2):
        if any(answers[one][key] != answers[other][key] for key in answers[one].keys() & answers[other].keys()):
            graph[one].add(other)
            graph[other].add(one)
    return graph


def without_twins(graph):
    """One prefix of all that conflict with the same ones: the others may have its colour."""
    kept = set({frozenset(others): prefix for prefix, others in graph.items()}.values())
    return {prefix: graph[prefix] & kept for prefix in graph if prefix in kept}


def clique_and_colouring(task, size, cut):
    """The largest clique that a greedy search finds, and the fewest colours; states needed at the cut lie between."""
    graph = without_twins(conflict_graph(task, size, cut))
    busiest = sorted(graph, key=lambda prefix: -len(graph[prefix]))
    clique = max((greedy_clique(graph, first, busiest) for first in busiest), key=len)
    order = clique + [prefix for prefix in busiest if prefix not in clique]
    return len(clique), next(n for n in range(len(clique), len(graph) + 1) if colourable(graph, order, n, {}))


def greedy_clique(graph, first, order):
    clique = [first]
    for prefix in order:
        if all(prefix in graph[member] for member in clique):
            clique.append(prefix)
    return clique


def colourable(graph, order, colours, chosen):
    """Whether the prefixes that are not in `chosen` can be coloured too: the most constrained one is tried first."""
    if len(chosen) == len(order):
        return True
    left = [prefix for prefix in order if prefix not in chosen]
    taken = {prefix: {chosen[other] for other in graph[prefix] & chosen.keys()} for prefix in left}
    prefix = max(left, key=lambda prefix: len(taken[prefix]))
    fresh = max(chosen.values(), default=-1) + 1
    return any(
        colourable(graph, order, colours, {**chosen, prefix: colour})
        for colour in range(min(colours, fresh + 1))
        if colour not in taken[prefix]
    )
