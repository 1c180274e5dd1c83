"""The facade: a task's own inputs and rule, counted, against the closed form that is looked up for it."""

from collections import defaultdict

import pytest
import torch

from statewise import bounds
from statewise.bounds.bound import enough_in_growth
from statewise.bounds.of_task import BEST_ACCURACY, REQUIRED
from statewise.core.errors import UsageError
from statewise.tasks import TASKS, Batch, Dyck, InContextRegression, IndexLookup, LinearAttentionTeacher, Parity, Text


def worst_cut_classes(task, size):
    """Classes of prefixes at the cut with most of them, from the task's own list of inputs and solver."""
    tokens = torch.stack(list(task.inputs(size)))
    targets = task.solve(Batch(tokens, tokens, tokens >= 0))
    return max(classes_at(cut, tokens.tolist(), targets.tolist()) for cut in range(tokens.shape[1]))


def classes_at(cut, tokens, targets):
    rows = defaultdict(dict)
    for word, answers in zip(tokens, targets, strict=True):
        rows[tuple(word[:cut])][tuple(word[cut:])] = tuple(answers[cut:])
    return len({frozenset(row.items()) for row in rows.values()})


@pytest.mark.parametrize(
    ("task", "size"),
    [
        (IndexLookup(alphabet=3), 4),
        (IndexLookup(alphabet=2, queries=2), 5),
        (Dyck(types=1, depth=2), 8),
        (Dyck(types=2, depth=2), 6),
        (Dyck(types=1, depth=3), 10),
        (Dyck(types=2, depth=3), 6),
        (Parity(), 6),
        (Parity(every_prefix=False), 6),
        (Parity(), 1),
    ],
    ids=str,
)
def test_required_bits_are_the_classes_of_the_task_itself(task, size):
    bound = bounds.required_bits(task, size)
    assert 2**bound.value == pytest.approx(worst_cut_classes(task, size), rel=1e-12)
    assert (bound.unit, bound.direction, bound.error) == ("bits", "requirement", "zero")


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (Text(), "no rule says what comes next"),
        (InContextRegression(), "inputs are real numbers, and prefixes fall into infinitely many classes"),
        (LinearAttentionTeacher(), "inputs are real numbers, and prefixes fall into infinitely many classes"),
    ],
    ids=str,
)
def test_bits_are_not_defined_without_a_rule_on_symbols(task, reason):
    message = f"^{task.name}: the state that it requires is not defined in bits: {reason}$"
    with pytest.raises(UsageError, match=message):
        bounds.required_bits(task, 64)
    assert bounds.best_accuracy(task, 64, 128) is None


def test_nothing_is_proved_about_text():
    assert bounds.bounds_of(Text(), 64) == []
    assert bounds.limit_at_all_lengths(Text(), non_negative_decay=True, positions="none") is None


def test_a_task_of_ones_own_has_no_closed_form():
    class Copy(Parity):
        name = "copy"

    with pytest.raises(UsageError, match="no closed form is proved for copy, only for index-lookup"):
        bounds.required_bits(Copy(), 4)


@pytest.mark.parametrize("task", [IndexLookup(), Parity(), Dyck()], ids=str)
@pytest.mark.parametrize("size", [0, -4])
def test_sizes_that_a_task_does_not_have_are_refused(task, size):
    with pytest.raises(UsageError, match=f"size is {size}; it must be"):
        bounds.required_bits(task, size)
    with pytest.raises(UsageError, match=f"size is {size}; it must be"):
        bounds.bounds_of(task, size)


def test_the_accuracy_bound_takes_the_tasks_alphabet_and_holds_for_each_query():
    one, five = (IndexLookup(alphabet=16, queries=q) for q in (1, 5))
    assert bounds.best_accuracy(one, 16, 18).value == pytest.approx(0.471, abs=5e-4)
    assert bounds.best_accuracy(one, 16, 18) == bounds.best_accuracy(five, 16, 18)


@pytest.mark.parametrize("task", [Parity(), Dyck()], ids=str)
def test_zero_error_bounds_are_not_offered_as_limits_on_accuracy(task):
    assert bounds.best_accuracy(task, 8, 0) is None


@pytest.mark.parametrize(
    ("task", "non_negative_decay", "positions", "limited"),
    [
        (Parity(), True, "none", True),
        (Parity(every_prefix=False), True, "none", True),
        (Parity(), False, "none", False),
        (Parity(), True, "learned", False),
        (Dyck(), True, "none", False),
        (IndexLookup(), True, "none", False),
    ],
)
def test_only_parity_is_out_of_reach_at_all_lengths_and_only_under_every_assumption(
    task, non_negative_decay, positions, limited
):
    limit = bounds.limit_at_all_lengths(task, non_negative_decay=non_negative_decay, positions=positions)
    assert (limit is not None) == limited


@pytest.mark.parametrize(
    ("task", "units"),
    [
        (Dyck(), ["bits", "bits", "width x heads", "width x heads"]),
        (Dyck(types=1), ["bits", "bits", "width x heads"]),
        (Dyck(depth=3), ["bits", "bits", "width x heads"]),
        (Parity(), ["bits", "layers"]),
    ],
    ids=str,
)
def test_everything_known_is_printed_in_this_order(task, units):
    assert [bound.unit for bound in bounds.bounds_of(task, 64)] == units


@pytest.mark.parametrize("name", [name for name in TASKS if TASKS[name]().measure == "accuracy"])
def test_required_bits_come_first_and_growths_are_never_what_a_verdict_rests_on(name):
    task = TASKS[name]()
    required, *others = bounds.bounds_of(task, 16)
    assert required == bounds.required_bits(task, 16)
    assert not required.growth
    limit = bounds.best_accuracy(task, 16, 8)
    assert limit is None or not limit.growth
    for bound in (required, *others):
        assert bound.source
        assert "\n" not in str(bound)


def test_a_growth_among_the_required_bits_is_not_returned(monkeypatch):
    growing = enough_in_growth("O(n)", "bits", holds_for="a reader", assumes="nothing", source="nowhere")
    monkeypatch.setitem(REQUIRED, Parity, lambda _task, _size: growing)
    monkeypatch.setitem(BEST_ACCURACY, Parity, lambda _task, _size, _bits: growing)
    with pytest.raises(AssertionError, match="no verdict can rest on it"):
        bounds.required_bits(Parity(), 4)
    with pytest.raises(AssertionError, match="no verdict can rest on it"):
        bounds.best_accuracy(Parity(), 4, 1)
