"""Bounded Dyck by three gated LRU layers of constant size: a depth, a slot for each level, a memory of violations.

    bracket of type i     [ step ±1 | opening 1 or 0 | code ±(i + 1) | one ]        opening +, closing −
    written by layers     [ depth | level (k) | top | bad | ever ]

Every unit has a decay of exactly 1 and sums up products; the second factor of the read-out sees the token (side gate).
n types of brackets, k the depth allowed, T tokens.

    1  depth  ← depth + step · one
       level_i  = 1 where i is the level of this bracket, depth after an opening one and depth + 1 after a closing one
       bad      = max(0, −depth) + max(0, depth − k)
    2  slot_i ← slot_i + code · level_i                     read: top = Σ slot_i · level_i, the slot just written
       bad      + |top| after a closing bracket
    3  ever   ← ever + bad · one
    yes where 1/2 − 2 · ever − depth > 0

Proof. Call a prefix sound if its depths stay in [0, k] and every bracket closes one of its type. While it is, all
numbers are integers of at most max(n, k + 1), exact in float32; the brackets of one level open and close by turns, so
each slot holds the code of the bracket that is open there, or 0. So bad = 0 as long as the prefix is sound. At the
first bracket after which it is not, either depth is −1 or k + 1, or a bracket of type i closes one of type j and top =
j − i: bad ≥ 1. It is never negative, being a sum of ReLUs, and a float that is at least 1 does not fall by adding:
from there on ever ≥ 1, and 2 · ever > −depth since ever has grown by each negative depth, the last one included. So
the string is a member exactly where ever = 0 and depth = 0. No step of this knows T: the size is constant, and so is
the precision.
"""

from typing import Any

import torch

from statewise.bounds import dyck
from statewise.constructions import storage
from statewise.constructions.construction import Construction
from statewise.constructions.directions import Directions, blank, write_table
from statewise.constructions.heads import layer
from statewise.constructions.writing import (
    Integrator,
    Product,
    Relu,
    combination,
    one_hot,
    write_integrators,
    write_products,
    write_relus,
)
from statewise.core.errors import UsageError
from statewise.models import LanguageModel
from statewise.tasks import Dyck

NAME = "dyck/recurrent"


def recurrent(size: int, *, types: int = 2, depth: int = 2) -> Construction:
    """Three gated LRU layers of k units, width k + 8: exact at every length, of which `size` is the one that is named.

    size   even, at least 2
    types  n, at least 1
    depth  k, at least 1

    >>> recurrent(6).verify().exact
    True
    """
    if size < 2 or size % 2:
        raise UsageError(f"{NAME}: size is {size}; it must be even and at least 2")
    task = Dyck(types=types, depth=depth)
    at = Directions(step=1, opening=1, code=1, one=1, depth=1, level=depth, top=1, bad=1, ever=1)
    model = LanguageModel(
        vocabulary=task.vocabulary(size),
        width=at.width,
        stack="gated-lru",
        depth=3,
        feed_forward=1,
        feed_forward_kind="relu",
        norm="none",
        mixer_settings=(f"units={depth}", "side_gate=True"),
    )
    blank(model)
    _write_tables(model, at, types)
    _write_depth(layer(model, 0), at, depth)
    _write_slots(layer(model, 1), at, depth, types)
    _write_memory(layer(model, 2), at, depth)
    required = dyck.required_bits_all_lengths(types, depth)
    return Construction(
        name=NAME,
        model=model.eval(),
        task=task,
        sizes=(2, size),
        precision=torch.float32,
        claim=f"three gated LRU layers of {storage.units(depth)}, {depth + 2} of {3 * depth} in use, constant at every "
        f"length: {storage.compared(model, required)}",
        source="ours; constant size by Hewitt et al. 2020, arXiv 2010.07515, and Bhattamishra et al. 2020, "
        "arXiv 2011.03965, for other cells",
    )


def _write_tables(model: LanguageModel, at: Directions, types: int) -> None:
    """Brackets as they are read; the answers, of which `no` says 0 and brackets less."""
    codes = torch.arange(1.0, types + 1)[:, None]
    for brackets, sign in ((slice(types), 1), (slice(types, 2 * types), -1)):
        write_table(model.embedding, brackets, at["step"], torch.full_like(codes, sign))
        write_table(model.embedding, brackets, at["opening"], torch.full_like(codes, sign > 0))
        write_table(model.embedding, brackets, at["code"], sign * codes)
        write_table(model.embedding, brackets, at["one"], torch.ones_like(codes))
        write_table(model.head, brackets, at["one"], -torch.ones_like(codes))
    write_table(model.head, slice(-1, None), slice(None), combination(at, one=0.5, ever=-2.0, depth=-1.0)[None])


def _write_depth(block: Any, at: Directions, depth: int) -> None:
    """Sum up the steps; bend the depth into the level of this bracket, and into how far it is out of bounds."""
    one = combination(at, one=1.0)
    write_integrators(block.mixer, [Integrator(combination(at, step=1.0), one)])
    write_products(block.mixer, [Product(one_hot(0, depth), one, combination(at, depth=1.0))])
    reached = combination(at, depth=1.0, opening=-1.0)
    # A tent over each level: slope 1 from the level below, −1 to the one above.
    tents = torch.eye(depth + 2)[:-2] - 2 * torch.eye(depth + 2)[1:-1] + torch.eye(depth + 2)[2:]
    write_relus(
        block.feed_forward,
        [
            *(Relu(reached, 1.0 - level, combination(at, level=tents[:, level])) for level in range(depth + 2)),
            Relu(combination(at, depth=-1.0), 0.0, combination(at, bad=1.0)),
            Relu(combination(at, depth=1.0), -float(depth), combination(at, bad=1.0)),
        ],
    )


def _write_slots(block: Any, at: Directions, depth: int, types: int) -> None:
    """Add codes at their level; after a closing bracket, what is left there is a violation."""
    levels = [combination(at, level=one_hot(level, depth)) for level in range(depth)]
    write_integrators(block.mixer, [Integrator(combination(at, code=1.0), level) for level in levels])
    write_products(
        block.mixer,
        [Product(one_hot(slot, depth), level, combination(at, top=1.0)) for slot, level in enumerate(levels)],
    )
    write_relus(
        block.feed_forward,
        [Relu(combination(at, top=sign, opening=-float(types)), 0.0, combination(at, bad=1.0)) for sign in (1.0, -1.0)],
    )


def _write_memory(block: Any, at: Directions, depth: int) -> None:
    """Sum up the violations."""
    one = combination(at, one=1.0)
    write_integrators(block.mixer, [Integrator(combination(at, bad=1.0), one)])
    write_products(block.mixer, [Product(one_hot(0, depth), one, combination(at, ever=1.0))])
