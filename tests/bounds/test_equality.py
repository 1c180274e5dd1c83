"""Equality: conflicting strings counted from the task's own inputs, and a hash written out."""

from itertools import combinations, product

import pytest
import torch

from bounds.conflicts import clique_and_colouring
from statewise.bounds import equality
from statewise.core.errors import UsageError
from statewise.tasks.equality import FORMS, Equality


@pytest.mark.parametrize(
    ("form", "alphabet", "size", "known"),
    [
        ("random", 2, 3, 8),
        ("random", 2, 4, 16),
        ("random", 3, 3, 27),
        ("one-difference", 2, 3, 2),
        ("one-difference", 2, 4, 2),
        ("one-difference", 3, 3, 3),
        ("next-character", 2, 3, 8),
        ("next-character", 3, 2, 9),
    ],
)
def test_required_bits_are_the_conflicts_of_the_task_itself(form, alphabet, size, known):
    task = Equality(form=form, alphabet=alphabet)
    assert clique_and_colouring(task, size, task.cut(size)) == (known, known)
    bound = equality.required_bits(size, alphabet, form)
    assert 2**bound.value == pytest.approx(known, rel=1e-12)
    assert (bound.unit, bound.direction, bound.error) == ("bits", "requirement", "zero")
    assert form in bound.assumes


@pytest.mark.parametrize(("alphabet", "size"), [(2, 4), (3, 3), (5, 2)])
def test_a_checksum_tells_every_string_from_its_neighbours(alphabet, size):
    for one, other in combinations(product(range(alphabet), repeat=size), 2):
        if sum(a != b for a, b in zip(one, other, strict=True)) == 1:
            assert sum(one) % alphabet != sum(other) % alphabet


@pytest.mark.parametrize(("alphabet", "size"), [(2, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("state_bits", [0, 1, 2, 3, 10])
def test_the_hash_has_the_stated_accuracy(alphabet, size, state_bits):
    strings = alphabet**size
    classes = min(strings, 2**state_bits)
    one = torch.arange(strings)[:, None]
    right = ((one % classes == one.T % classes) == (one == one.T)).double().mean()
    assert equality.hash_accuracy(size, alphabet, state_bits).value == pytest.approx(
        float(0.5 + 0.5 * right), abs=1e-12
    )


def test_a_hash_misses_little_at_any_length():
    for state_bits in range(70):
        value = equality.hash_accuracy(1000, 16, state_bits).value
        assert 1 - 2.0 ** (-state_bits - 1) <= value <= 1
    assert equality.hash_accuracy(4, 2, 4).value == 1
    assert equality.hash_accuracy(400, 2, 8).claim == "accuracy: 0.998 is reached"


def test_arguments_outside_their_domain_are_refused():
    with pytest.raises(UsageError, match=r"equality\.required_bits: size is 0; it must be an integer of at least 1"):
        equality.required_bits(0, 2, FORMS[0])
    with pytest.raises(UsageError, match=r"equality\.required_bits: alphabet is 1"):
        equality.required_bits(4, 1, FORMS[0])
    with pytest.raises(UsageError, match=r"equality\.required_bits: form is 'x'; it must be one of random"):
        equality.required_bits(4, 2, "x")
    with pytest.raises(UsageError, match=r"equality\.hash_accuracy: state_bits is -1"):
        equality.hash_accuracy(4, 2, -1)
