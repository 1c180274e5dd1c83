"""Missing duplicate: prefixes in conflict, counted, and the readers that the bounds name, run."""

from collections import defaultdict
from itertools import combinations

import pytest
import torch

from statewise.bounds import missing_duplicate
from statewise.core.errors import UsageError
from statewise.tasks.missing_duplicate import MissingDuplicate
from statewise.tasks.task import Batch


def solved(alphabet, layout, size):
    task = MissingDuplicate(alphabet=alphabet, layout=layout)
    tokens = torch.stack(list(task.inputs(size)))
    answers = task.solve(Batch(tokens, tokens, tokens >= 0))[:, -1]
    return list(zip(map(tuple, tokens.tolist()), answers.tolist(), strict=True))


def largest_clique(alphabet, layout, size):
    """Unmasked first copies, every two of which have a continuation in common after which answers differ."""
    futures = defaultdict(dict)
    for tokens, answer in solved(alphabet, layout, size):
        if alphabet not in tokens[:size]:
            futures[tokens[:size]][tokens[size:]] = answer
    conflict = {
        (one, other): any(futures[one][f] != futures[other].get(f, futures[one][f]) for f in futures[one])
        for one, other in combinations(sorted(futures), 2)
    }

    def extended(clique, candidates):
        best = len(clique)
        for i, one in enumerate(candidates):
            later = [other for other in candidates[i + 1 :] if conflict[one, other]]
            if len(clique) + 1 + len(later) > best:
                best = max(best, extended([*clique, one], later))
        return best

    return extended([], sorted(futures))


@pytest.mark.parametrize(("alphabet", "size"), [(2, 1), (2, 3), (2, 4), (3, 2), (3, 3), (4, 2)])
def test_a_masked_symbol_asks_for_one(alphabet, size):
    bound = missing_duplicate.masked_bits(alphabet)
    assert (bound.direction, bound.error) == ("requirement", "zero")
    assert 2**bound.value == pytest.approx(largest_clique(alphabet, "chomsky", size), rel=1e-12)


@pytest.mark.parametrize(("alphabet", "size"), [(2, 1), (2, 3), (2, 4), (3, 3)])
def test_a_copy_that_breaks_off_asks_for_the_string(alphabet, size):
    clique = largest_clique(alphabet, "minrnn", size)
    assert clique == alphabet**size
    assert 2 ** missing_duplicate.broken_off_bits(size, alphabet).value == pytest.approx(clique, rel=1e-12)


@pytest.mark.parametrize(("alphabet", "size"), [(2, 1), (2, 4), (3, 3), (5, 2)])
def test_the_sum_finds_the_masked_symbol(alphabet, size):
    states = set()
    for tokens, answer in solved(alphabet, "chomsky", size):
        total, masked_first = 0, 0
        for t, token in enumerate(tokens):
            if token == alphabet:
                # Modulo 2 both signs are the same, so that nothing is noted.
                masked_first = int(t < size and alphabet > 2)
            else:
                total = (total + (token if t < size else -token)) % alphabet
            states.add((total, masked_first))
        assert (-total if masked_first else total) % alphabet == answer
    bound = missing_duplicate.masked_sum_bits(alphabet)
    assert bound.direction == "construction"
    assert len(states) <= 2**bound.value + 1e-9
    assert missing_duplicate.masked_bits(alphabet).value <= bound.value


@pytest.mark.parametrize(("alphabet", "size"), [(2, 1), (2, 4), (3, 3)])
def test_dropping_what_is_shown_again_leaves_the_answer_in_front(alphabet, size):
    for tokens, answer in solved(alphabet, "minrnn", size):
        held = tokens[:size]
        for token in tokens[size:]:
            held = held[token != alphabet :]
        assert held[0] == answer


def test_settings_outside_the_domain_are_refused():
    for function in (missing_duplicate.masked_bits, missing_duplicate.masked_sum_bits):
        with pytest.raises(
            UsageError, match=f"{function.__name__}: alphabet is 1; it must be an integer of at least 2"
        ):
            function(1)
    with pytest.raises(UsageError, match="broken_off_bits: size is 0; it must be an integer of at least 1"):
        missing_duplicate.broken_off_bits(0, 2)
    with pytest.raises(UsageError, match="broken_off_bits: alphabet is 1; it must be an integer of at least 2"):
        missing_duplicate.broken_off_bits(2, 1)
