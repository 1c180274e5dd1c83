"""Disjointness: conflicting prefixes counted from the task's own inputs, at every cut."""

import pytest

from bounds.conflicts import clique_and_colouring
from statewise.bounds import disjointness
from statewise.core.errors import UsageError
from statewise.tasks.disjointness import Disjointness


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_required_bits_are_the_conflicts_of_the_worst_cut(interleaved, size):
    task = Disjointness(interleaved=interleaved)
    found = {cut: clique_and_colouring(task, size, cut) for cut in range(2 * size)}
    bound = disjointness.required_bits(size, interleaved=interleaved)
    states = min(3, size + 1) if interleaved else 2**size
    assert 2**bound.value == pytest.approx(states, rel=1e-12)
    assert max(found.values()) == found[task.cut(size)] == (states, states)


def test_it_is_silent_about_errors_and_says_the_layout():
    one, other = disjointness.required_bits(400), disjointness.required_bits(400, interleaved=True)
    assert one.error == other.error == "zero"
    assert (one.claim, other.claim) == ("bits: at least 400", "bits: at least 1.584")
    assert one.assumes != other.assumes


def test_sizes_below_one_are_refused():
    with pytest.raises(UsageError, match=r"disjointness\.required_bits: size is 0; it must be an integer of at least"):
        disjointness.required_bits(0)
