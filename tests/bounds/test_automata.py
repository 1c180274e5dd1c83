"""Even pairs, cycle navigation, modular arithmetic: the classes of the worst cut, counted."""

from collections import defaultdict
from itertools import product

import pytest
import torch

from statewise.bounds import automata
from statewise.core.errors import UsageError
from statewise.tasks.cycle_navigation import CycleNavigation
from statewise.tasks.even_pairs import EvenPairs
from statewise.tasks.modular_arithmetic import ModularArithmetic
from statewise.tasks.task import Batch


def most_classes(task, size):
    """Prefixes with different rows of answers, at the worst cut before the last token, by every input."""
    tokens = torch.stack(list(task.inputs(size)))
    answers = task.solve(Batch(tokens, tokens, tokens >= 0))[:, -1].tolist()
    worst = 0
    for cut in range(task.length(size)):
        rows = defaultdict(list)
        # Inputs are listed in order, so every row lists its continuations in the same order.
        for row, answer in zip(tokens.tolist(), answers, strict=True):
            rows[tuple(row[:cut])].append(answer)
        worst = max(worst, len(set(map(tuple, rows.values()))))
    return worst


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_even_pairs(size):
    assert 2 ** automata.even_pairs_bits(size).value == most_classes(EvenPairs(), size)


def test_even_pairs_at_all_lengths():
    words = [word for length in range(4) for word in product((0, 1), repeat=length)]

    def answers(prefix):
        return tuple(bool(prefix + f) and (prefix + f)[0] != (prefix + f)[-1] for f in words)

    assert len({answers(prefix) for prefix in words}) == 5
    assert 2 ** automata.even_pairs_bits_all_lengths().value == pytest.approx(5, rel=1e-12)


@pytest.mark.parametrize("cycle", [2, 3, 4, 5, 9])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_cycle_navigation(size, cycle):
    counted = most_classes(CycleNavigation(cycle=cycle), size)
    assert 2 ** automata.cycle_navigation_bits(size, cycle).value == pytest.approx(counted, rel=1e-12)


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize(
    ("modulus", "size"),
    [(2, 1), (2, 2), (2, 3), (2, 5), (3, 1), (3, 2), (3, 3), (3, 4), (4, 2), (4, 3), (5, 2), (5, 3)],
)
def test_modular_arithmetic(modulus, size, times):
    counted = most_classes(ModularArithmetic(modulus=modulus, times=times), size)
    bound = automata.modular_arithmetic_bits(size, modulus, times=times)
    assert 2**bound.value == pytest.approx(counted, rel=1e-12)


@pytest.mark.parametrize(("modulus", "sums", "products"), [(3, 6, 9), (5, 10, 25)])
def test_the_numbers_of_the_notes(modulus, sums, products):
    bits = {times: automata.modular_arithmetic_bits(3, modulus, times=times).value for times in (False, True)}
    assert 2 ** bits[False] == pytest.approx(sums)
    assert 2 ** bits[True] == pytest.approx(products)


def test_settings_outside_the_domain_are_refused():
    for function, values in (
        (automata.even_pairs_bits, {}),
        (automata.cycle_navigation_bits, {"cycle": 5}),
        (automata.modular_arithmetic_bits, {"modulus": 5, "times": True}),
    ):
        with pytest.raises(UsageError, match=f"{function.__name__}: size is 0; it must be an integer of at least 1"):
            function(0, **values)
    with pytest.raises(UsageError, match="cycle is 1; it must be an integer of at least 2"):
        automata.cycle_navigation_bits(3, 1)
    with pytest.raises(UsageError, match="modulus is 1; it must be an integer of at least 2"):
        automata.modular_arithmetic_bits(3, 1, times=False)
