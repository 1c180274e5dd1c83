"""Word problems: one class for each element, and every small reader tried."""

import math
from itertools import permutations, product

import pytest

from statewise.bounds import groups
from statewise.core.errors import UsageError

S3 = list(permutations(range(3)))
TABLES = {
    "S3": [[S3.index(tuple(q[i] for i in p)) for q in S3] for p in S3],
    **{f"Z{m}": [[(a + b) % m for b in range(m)] for a in range(m)] for m in (2, 3, 4, 5)},
}


def answers_after(table, prefix, follower):
    state, answers = None, []
    for element in prefix + follower:
        state = element if state is None else table[state][element]
        answers.append(state)
    return tuple(answers[len(prefix) :])


@pytest.mark.parametrize(("group", "size"), [("S3", 1), ("S3", 2), ("S3", 4), ("Z2", 5), ("Z5", 1), ("Z5", 3)])
def test_required_bits_count_the_classes_of_the_worst_cut(group, size):
    table = TABLES[group]

    def classes_at(cut):
        followers = list(product(range(len(table)), repeat=size - cut))
        prefixes = product(range(len(table)), repeat=cut)
        return len({tuple(answers_after(table, p, f) for f in followers) for p in prefixes})

    worst = max(classes_at(cut) for cut in range(size))
    assert worst == (len(table) if size > 1 else 1)
    assert 2 ** groups.required_bits(size, len(table)).value == pytest.approx(worst, rel=1e-12)


@pytest.mark.parametrize(("order", "bits"), [(120, 6.91), (60, 5.91)])
def test_the_groups_of_the_notes(order, bits):
    assert groups.required_bits(40, order).value == pytest.approx(bits, abs=0.005)


def optimum(table, size, states):
    """The accuracy of the best of all readers: every map of (state, token) to a state at each token, best answers."""
    order = len(table)
    inputs = list(product(range(order), repeat=size))

    def best_from(t, state_of):
        scores = {}
        for word in inputs:
            key = state_of[word], word[t], answers_after(table, (), word)[t]
            scores[key] = scores.get(key, 0) + 1
        best = {}
        for (state, token, _), score in scores.items():
            best[state, token] = max(best.get((state, token), 0), score)
        right = sum(best.values())
        if t + 1 == size:
            return right
        seen = sorted({(state_of[word], word[t]) for word in inputs})
        steps = (dict(zip(seen, new, strict=True)) for new in product(range(states), repeat=len(seen)))
        return right + max(best_from(t + 1, {w: step[state_of[w], w[t]] for w in inputs}) for step in steps)

    return best_from(0, dict.fromkeys(inputs, 0)) / (size * len(inputs))


@pytest.mark.parametrize(
    ("group", "size", "bits", "attained"),
    [
        ("Z3", 2, 1, True),
        ("Z5", 2, 1, True),
        ("S3", 2, 1, True),
        ("Z4", 2, 0, True),
        ("Z2", 3, 1, True),
        ("Z2", 3, 0, True),
        ("Z3", 3, 1, None),
    ],
)
def test_no_reader_does_better_than_the_best_accuracy(group, size, bits, attained):
    found = optimum(TABLES[group], size, 2**bits)
    bound = groups.best_accuracy(size, len(TABLES[group]), bits).value
    assert found <= bound
    assert attained is None or found == pytest.approx(bound, rel=1e-12)


def test_a_reader_that_keeps_the_coset_attains_it_at_every_length():
    """Z4 read by its parity: one of two products each time after the first token."""
    size, table = 4, TABLES["Z4"]
    right = 0
    for word in product(range(4), repeat=size):
        answers = answers_after(table, (), word)
        guesses = [(sum(word[:t]) % 2 + word[t]) % 4 if t else word[0] for t in range(size)]
        right += sum(answer == guess for answer, guess in zip(answers, guesses, strict=True))
    assert right / (size * 4**size) == groups.best_accuracy(size, 4, 1).value


@pytest.mark.parametrize(("state_bits", "accuracy"), [(0, (1 + 9 / 60) / 10), (5, (1 + 9 * 32 / 60) / 10), (6, 1.0)])
def test_accuracy_rises_to_one_with_the_bits(state_bits, accuracy):
    bound = groups.best_accuracy(10, 60, state_bits)
    assert bound.value == pytest.approx(accuracy, rel=1e-12)
    assert bound.error == "average under the task's sampler"
    assert groups.best_accuracy(10, 60, 10**9).value == 1.0
    assert groups.best_accuracy(1, 60, state_bits).value == 1.0


def test_every_prefix_must_be_scored_for_the_accuracy():
    assert "every prefix scored" in groups.best_accuracy(4, 6, 1).assumes
    assert math.isclose(groups.required_bits(2, 6).value, math.log2(6))


def test_sizes_and_orders_outside_the_domain_are_refused():
    with pytest.raises(UsageError, match=r"groups\.required_bits: size is 0; it must be an integer of at least 1"):
        groups.required_bits(0, 6)
    with pytest.raises(UsageError, match=r"groups\.best_accuracy: order is 1; it must be an integer of at least 2"):
        groups.best_accuracy(3, 1, 1)
    with pytest.raises(
        UsageError, match=r"groups\.best_accuracy: state_bits is -1; it must be an integer of at least 0"
    ):
        groups.best_accuracy(3, 6, -1)
