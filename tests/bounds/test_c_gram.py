"""c-gram retrieval: addresses that form a clique of conflicts, and maps of first successors counted."""

import math
from itertools import product

import pytest

from statewise.bounds import c_gram
from statewise.core.errors import UsageError


def first_successors(string, gram):
    """The map from each gram of c − 1 symbols to what first follows it."""
    successors = {}
    for place in range(len(string) - gram + 1):
        successors.setdefault(string[place : place + gram - 1], string[place + gram - 1])
    return successors


def conflict(one, other):
    return any(one[gram] != other[gram] for gram in one.keys() & other.keys())


def classes_at(cut, size, alphabet, gram):
    """Prefixes told apart by what may follow, where a gram that does not occur is answered too."""
    followers = list(product(range(alphabet), repeat=size - cut))

    def maps(prefix):
        return tuple(tuple(sorted(first_successors(prefix + f, gram).items())) for f in followers)

    return len({maps(prefix) for prefix in product(range(alphabet), repeat=cut)})


@pytest.mark.parametrize(
    ("size", "alphabet", "gram", "classes"),
    [(4, 2, 2, 7), (4, 3, 2, 35), (5, 3, 2, 50), (4, 4, 2, 132), (2, 4, 2, None), (6, 2, 3, None), (5, 3, 3, None)],
)
def test_the_bounds_enclose_what_a_reader_needs_that_also_knows_absent_grams(size, alphabet, gram, classes):
    worst = max(classes_at(cut, size, alphabet, gram) for cut in range(size + 1))
    assert classes in (worst, None)
    assert c_gram.required_bits(size, alphabet, gram).value <= math.log2(worst)
    assert math.log2(worst) <= c_gram.reader_bits(size, alphabet, gram).value


@pytest.mark.parametrize(("size", "alphabet", "clique"), [(4, 2, 5), (4, 3, 15), (5, 3, 30), (4, 4, 31)])
def test_the_lower_bound_stays_below_the_cliques_of_the_notes(size, alphabet, clique):
    assert c_gram.required_bits(size, alphabet).value <= math.log2(clique)


@pytest.mark.parametrize(
    ("size", "alphabet", "gram"),
    [(4, 3, 2), (5, 4, 2), (6, 5, 2), (6, 3, 3), (7, 4, 3), (12, 3, 3), (12, 3, 4), (4, 2, 2)],
)
def test_the_strings_of_the_proof_are_pairwise_in_conflict(size, alphabet, gram):
    sizes = []
    for q in range(1, alphabet):
        grams = list(product(range(q), repeat=gram - 1))[: size // gram]
        maps = []
        for free in product(range(q, alphabet), repeat=len(grams)):
            string = sum(((*g, f) for g, f in zip(grams, free, strict=True)), ())
            maps.append(first_successors(string + (free[-1],) * (size - len(string)), gram))
        assert all(conflict(one, other) for i, one in enumerate(maps) for other in maps[:i])
        sizes.append(len(maps))
    value = c_gram.required_bits(size, alphabet, gram).value
    assert 2**value == pytest.approx(max(sizes), rel=1e-12)


@pytest.mark.parametrize(("size", "alphabet"), [(2, 2), (8, 8), (16, 16), (7, 40), (400, 64)])
def test_for_two_it_is_the_formula_of_the_notes(size, alphabet):
    expected = max(m * math.log2(alphabet - m) for m in range(1, min(size // 2, alphabet - 1) + 1))
    assert c_gram.required_bits(size, alphabet).value == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("alphabet", "gram"), [(2, 2), (3, 2), (2, 3), (4, 3)])
def test_a_reader_of_constant_size_serves_every_length(alphabet, gram):
    grams = alphabet ** (gram - 1)
    constant = grams * math.log2(alphabet + 1) + (gram - 1) * math.log2(alphabet)
    assert c_gram.reader_bits(10_000, alphabet, gram).value == pytest.approx(constant, rel=1e-12)
    assert c_gram.reader_bits(gram, alphabet, gram).value == pytest.approx((2 * gram - 2) * math.log2(alphabet))
    assert c_gram.required_bits(10_000, alphabet, gram).value <= constant


@pytest.mark.parametrize("size", [2, 3, 4, 5, 9, 40])
@pytest.mark.parametrize("gram", [2, 3, 4])
@pytest.mark.parametrize("alphabet", [2, 3, 8])
def test_the_reader_keeps_the_smaller_of_string_and_map(size, alphabet, gram):
    size = max(size, gram)
    string = (size + gram - 2) * math.log2(alphabet)
    both = alphabet ** (gram - 1) * math.log2(alphabet + 1) + (gram - 1) * math.log2(alphabet)
    assert c_gram.reader_bits(size, alphabet, gram).value == min(string, both)


def test_many_grams_overflow_nothing():
    assert c_gram.reader_bits(1000, 16, 500).value == 1498 * 4
    assert c_gram.required_bits(1000, 16, 500).value > 0


def test_a_requirement_and_a_construction_at_zero_error():
    lower, upper = c_gram.required_bits(64, 16), c_gram.reader_bits(64, 16)
    assert (lower.direction, upper.direction) == ("requirement", "construction")
    assert lower.error == upper.error == "zero"
    assert lower.value <= upper.value


def test_arguments_outside_the_domain_are_refused():
    with pytest.raises(UsageError, match=r"c_gram\.required_bits: gram is 1; it must be an integer of at least 2"):
        c_gram.required_bits(4, 2, 1)
    with pytest.raises(UsageError, match=r"c_gram\.reader_bits: size is 2; it must be an integer of at least 3"):
        c_gram.reader_bits(2, 2, 3)
    with pytest.raises(UsageError, match="alphabet is 1; it must be an integer of at least 2"):
        c_gram.required_bits(4, 1)
