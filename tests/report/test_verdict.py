"""A proof is printed only where it is one."""

import pytest

from statewise.bounds import best_accuracy
from statewise.report import judge
from statewise.report.verdict import percent
from statewise.tasks import Dyck, IndexLookup, Parity, Text

LOOKUP = IndexLookup(alphabet=64)


def verdict(task, size, accuracies, bits, *, decay=False, positions="none"):
    return judge(
        task, size, accuracies=accuracies, state_bits=bits, non_negative_decay=decay, positions=positions
    )  # fmt: skip


def test_solved_needs_every_seed():
    assert verdict(LOOKUP, 16, [0.99, 1.0, 0.995], 1024).kind == "solved"
    partly = verdict(LOOKUP, 16, [0.99, 1.0, 0.9], 1024)
    assert (partly.kind, partly.text) == ("partly", "solved by 2 of 3 seeds")
    assert verdict(LOOKUP, 16, [0.9, 1.0, 0.9], 1024).text == "solved by 1 of 3 seeds"


def test_cannot_needs_a_bound_on_average_accuracy_below_the_threshold():
    assert best_accuracy(LOOKUP, 256, 1024).value < 0.99
    found = verdict(LOOKUP, 256, [0.1], 1024)
    assert found.kind == "cannot"
    assert found.text == "cannot (proof): at most 78.6 % of answers right"


def test_a_state_just_too_small_for_zero_error_may_still_reach_the_threshold():
    bits = 1535
    assert 0.99 < best_accuracy(LOOKUP, 256, bits).value < 1
    found = verdict(LOOKUP, 256, [0.1], bits)
    assert found.kind == "not-always"
    assert found.text.startswith("cannot be always right (proof); accuracy up to 99.9 % possible")


def test_a_zero_error_bound_never_says_cannot():
    found = verdict(Dyck(), 64, [0.5], 1)
    assert (found.kind, found.text) == ("not-always", "cannot be always right (proof)")


def test_enough_bits_mean_room():
    assert verdict(LOOKUP, 256, [0.1], 1536).text == "has room, did not learn"
    assert verdict(Dyck(), 64, [0.5], 1024).text == "has room, did not learn"


@pytest.mark.parametrize(
    ("decay", "positions", "never"), [(True, "none", True), (False, "none", False), (True, "learned", False)]
)
def test_parity_at_all_lengths_binds_only_what_the_theorem_binds(decay, positions, never):
    found = verdict(Parity(), 64, [0.5], 1024, decay=decay, positions=positions)
    assert found.kind == "has-room"
    assert found.never_everywhere == never
    assert ("cannot at all lengths (proof)" in found.text) == never


def test_a_model_that_solves_parity_here_is_solved_whatever_holds_elsewhere():
    assert verdict(Parity(), 16, [1.0], 1024, decay=True).text == "solved"


def test_text_has_no_verdict():
    assert verdict(Text(), 64, [0.0], 1024).kind == "no-rule"


def test_a_share_below_one_is_never_printed_as_all():
    assert [percent(share) for share in (1.0, 0.99999, 0.0)] == ["100 %", "99.9 %", "0.0 %"]
