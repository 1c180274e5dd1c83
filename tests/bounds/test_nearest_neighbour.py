"""Nearest neighbour: classes of prefixes counted from the task's own inputs, between the two bounds."""

import math

import pytest

from bounds.conflicts import clique_and_colouring
from statewise.bounds import nearest_neighbour
from statewise.core.errors import UsageError
from statewise.tasks.nearest_neighbour import NearestNeighbour


@pytest.mark.parametrize(
    ("size", "bits", "labels", "classes"),
    [(1, 1, 2, 2), (2, 1, 2, 4), (3, 1, 2, 4), (2, 1, 3, 9), (1, 2, 2, 2), (2, 2, 2, 10), (3, 2, 2, 14)],
)
def test_the_classes_of_the_task_itself_lie_between(size, bits, labels, classes):
    task = NearestNeighbour(bits=bits, labels=labels)
    assert clique_and_colouring(task, size, task.cut(size)) == (classes, classes)
    required = nearest_neighbour.required_bits(size, bits, labels)
    enough = nearest_neighbour.enough_bits(size, bits, labels)
    assert required.value <= math.log2(classes) + 1e-12 <= enough.value + 2e-12
    assert (required.direction, enough.direction) == ("requirement", "construction")


def test_more_points_than_there_are_add_nothing():
    assert nearest_neighbour.required_bits(100, 3, 4).value == 16
    assert nearest_neighbour.enough_bits(100, 3, 4) == nearest_neighbour.enough_bits(8, 3, 4)
    # Every set of labelled points but the empty one: each of 8 points has a label or none.
    assert 2 ** nearest_neighbour.enough_bits(8, 3, 4).value == pytest.approx(5**8 - 1, rel=1e-12)


@pytest.mark.parametrize("size", [1, 7, 8, 9])
@pytest.mark.parametrize("bits", [1, 3, 4, 30])
def test_the_number_of_points_is_the_smaller_of_both(size, bits):
    assert nearest_neighbour.required_bits(size, bits, 2).value == min(size, 2**bits)


def test_arguments_outside_their_domain_are_refused():
    with pytest.raises(UsageError, match=r"nearest_neighbour\.required_bits: size is 0; it must be an integer of at"):
        nearest_neighbour.required_bits(0, 4, 2)
    with pytest.raises(UsageError, match="bits is 0; it must be an integer of at least 1"):
        nearest_neighbour.enough_bits(4, 0, 2)
    with pytest.raises(UsageError, match="labels is 1; it must be an integer of at least 2"):
        nearest_neighbour.enough_bits(4, 4, 1)
