"""Bounded Dyck by one GRU layer that runs the finite automaton, at every length.

    unit (i, a)    +1 if the automaton was in state i and then read token a, which may follow there, −1 if not
    unit `begun`   0 before the first token, 1 from it on
    token a        a 1 in a channel of its own, where no unit writes

States are the stacks of at most `depth` open brackets. At most one unit is +1, and none from the first bracket on that
cannot be mended. Let S_i be the units (i', a') after which the automaton is in state i; with |S_i| = s, after any token

    f_i = Σ_{S_i} h + s − 1 = +1 in state i, −1 in none or another,   and h' = tanh(K (f_i + 2 [token is a] − 2)) is ±1:

positive only where both hold. Before the first token every h is 0; `begun`, in the place of the constant s, turns f_i
into −1 for every state but the empty stack, and into +1 there. The gates stay at r = 1 and z = 0: σ(±200) is exactly 1
and 0 in float32, and tanh(20) exactly 1, so every number is an integer at every length.
"""

from itertools import product
from typing import Any

import torch

from statewise.constructions.construction import Construction
from statewise.constructions.directions import Directions, blank, write_table
from statewise.constructions.heads import layer
from statewise.core.errors import UsageError
from statewise.models import LanguageModel
from statewise.tasks import Dyck

OPEN, SHARP = 200.0, 20.0
"""Pre-activations at which a gate is exactly 0 or 1, and a candidate exactly ±1."""

Stack = tuple[int, ...]


def gru(size: int, *, types: int = 2, depth: int = 2) -> Construction:
    """One GRU layer with a unit for every bracket that may follow a stack, and one more; exact for every length.

    size   largest size that is claimed; the model is the same for all, a positive even number
    types  n, at least 1
    depth  deepest nesting, at least 1

    >>> gru(6).verify(6).exact
    True
    """
    if size < 2 or size % 2:
        raise UsageError(f"dyck/gru: size is {size}; it must be a positive multiple of 2")
    task = Dyck(types=types, depth=depth)
    tokens = 2 * types
    units = [unit for unit in product(stacks(types, depth), range(tokens)) if after(*unit, types, depth) is not None]
    at = Directions(units=len(units), begun=1, token=tokens)
    model = LanguageModel(vocabulary=task.vocabulary(size), width=at.width, stack="gru", feed_forward=0, norm="none")
    blank(model)
    write_table(model.embedding, slice(tokens), at["token"], torch.eye(tokens))
    write_automaton(layer(model, 0).mixer.cell, at, units, types, depth)
    balanced = leading_to((), units, types, depth)
    answer = torch.zeros(at.width)
    answer[at["units"]] = balanced
    answer[at["begun"]] = balanced.sum() - 1
    write_table(model.head, slice(tokens, tokens + 2), slice(None), torch.stack([-answer, answer]))
    return Construction(
        name="dyck/gru",
        model=model.eval(),
        task=task,
        sizes=(2, size),
        precision=torch.float32,
        claim=f"one GRU layer of {len(units) + 1} units, constant at every length, runs the automaton of "
        f"{len(stacks(types, depth))} stacks",
        source="ours; that a constant size is enough: Bhattamishra et al. 2024, arXiv 2406.09347, §5",
    )


def stacks(types: int, depth: int) -> list[Stack]:
    """Every stack of at most `depth` open brackets, the empty one first.

    >>> stacks(2, 1)
    [(), (0,), (1,)]
    """
    return [stack for height in range(depth + 1) for stack in product(range(types), repeat=height)]


def after(stack: Stack, token: int, types: int, depth: int) -> Stack | None:
    """The stack after a token; None where the token may not follow.

    >>> after((0,), 2, types=2, depth=2), after((0,), 3, types=2, depth=2), after((), 1, types=2, depth=2)
    ((), None, (1,))
    """
    if token < types:
        return (*stack, token) if len(stack) < depth else None
    return stack[:-1] if stack and stack[-1] == token - types else None


def leading_to(state: Stack, units: list[tuple[Stack, int]], types: int, depth: int) -> torch.Tensor:
    """1 for the units after which the automaton is in a state, 0 for the others."""
    return torch.tensor([float(after(stack, token, types, depth) == state) for stack, token in units])


def write_automaton(cell: Any, at: Directions, units: list[tuple[Stack, int]], types: int, depth: int) -> None:
    """The cell's weights: rows of reset gate, update gate and candidate, one below the other."""
    width, begun = at.width, at["begun"].start
    candidate = slice(2 * width, 3 * width)
    with torch.no_grad():
        cell.bias_ih_l0[:width] = OPEN
        cell.bias_ih_l0[width : 2 * width] = -OPEN
        read, keep, bias = cell.weight_ih_l0[candidate], cell.weight_hh_l0[candidate], cell.bias_ih_l0[candidate]
        bias[begun] = SHARP
        for row, (stack, token) in enumerate(units):
            sources = leading_to(stack, units, types, depth)
            # f_i − 2 at the first token, where all units are 0: +1 − 2 for the empty stack, −1 − 2 for any other.
            first = 1.0 if stack == () else -1.0
            keep[row, at["units"]] = SHARP * sources
            keep[row, begun] = SHARP * (sources.sum() - 1 - first)
            read[row, at["token"].start + token] = SHARP * 2
            bias[row] = SHARP * (first - 2)
