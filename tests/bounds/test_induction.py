"""Induction: conflicting prefixes counted from the task's own inputs, at every cut."""

import pytest

from bounds.conflicts import clique_and_colouring
from statewise.bounds import induction
from statewise.core.errors import UsageError
from statewise.tasks.induction import Induction


@pytest.mark.parametrize(("alphabet", "size"), [(2, 1), (3, 1), (2, 2), (3, 2), (3, 3), (2, 5), (3, 4)])
def test_required_bits_are_the_conflicts_of_the_worst_cut(alphabet, size):
    task = Induction(alphabet=alphabet)
    found = {cut: clique_and_colouring(task, size, cut) for cut in range(task.length(size))}
    states = alphabet + (size > 1)
    assert max(found.values()) == found[task.cut(size)] == (states, states)
    bound = induction.required_bits(size, alphabet)
    assert 2**bound.value == pytest.approx(states, rel=1e-12)
    assert (bound.unit, bound.direction, bound.error) == ("bits", "requirement", "zero")


def test_arguments_outside_their_domain_are_refused():
    with pytest.raises(UsageError, match=r"induction\.required_bits: size is 0; it must be an integer of at least 1"):
        induction.required_bits(0, 4)
    with pytest.raises(UsageError, match=r"induction\.required_bits: alphabet is 1; it must be an integer of at least"):
        induction.required_bits(4, 1)
