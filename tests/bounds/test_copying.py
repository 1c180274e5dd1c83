"""Copy and selective copying: as many states as strings of data, and the curve of index lookup."""

import math
from itertools import product

import pytest

from statewise.bounds import copying, index_lookup
from statewise.bounds.bound import Bound
from statewise.core.errors import UsageError


@pytest.mark.parametrize(("places", "copied", "alphabet"), [(5, 2, 2), (6, 3, 2), (5, 2, 3), (3, 3, 3)])
def test_the_classes_of_selective_copying_at_its_worst_cut(places, copied, alphabet):
    """A shift register of m symbols, blank at first, tells apart at every cut what must be told apart."""

    def prefixes(length):
        return (p for p in product(range(alphabet + 1), repeat=length) if sum(s > 0 for s in p) <= copied)

    def data(word):
        return tuple(symbol for symbol in word if symbol)

    inputs = [word for word in prefixes(places) if len(data(word)) == copied]
    assert len({data(word) for word in inputs}) == alphabet**copied
    assert 2 ** copying.required_bits(copied, alphabet).value == pytest.approx(alphabet**copied, rel=1e-12)
    for cut in range(places + 1):
        # Registers begin as zeros, so they are base-k numbers below k^m.
        answers = {}
        for word in inputs:
            register = (0,) * copied
            for symbol in data(word[:cut]):
                register = (*register[1:], symbol - 1)
            assert answers.setdefault((register, word[cut:]), data(word)) == data(word)


def test_the_setting_of_the_papers():
    assert copying.required_bits(16, 14).value == pytest.approx(60.9, abs=0.05)


@pytest.mark.parametrize(("copied", "alphabet", "states"), [(2, 2, 2), (3, 2, 4), (2, 3, 2), (4, 2, 2)])
def test_no_choice_of_answers_beats_the_curve(copied, alphabet, states):
    strings = list(product(range(alphabet), repeat=copied))

    def accuracy(words):
        right = sum(max(sum(a == b for a, b in zip(x, word, strict=True)) for word in words) for x in strings)
        return right / len(strings) / copied

    best = max(accuracy(words) for words in product(strings, repeat=states))
    bound = copying.best_accuracy(copied, alphabet, int(math.log2(states)))
    assert best <= bound.value + 1e-12
    assert bound.value == index_lookup.best_accuracy(copied, alphabet, int(math.log2(states))).value
    assert bound.error == "average under the task's sampler"


def test_enough_bits_leave_no_limit():
    assert copying.best_accuracy(3, 4, 6).value == 1.0
    assert copying.best_accuracy(3, 4, 5).value < 1.0
    assert isinstance(copying.best_accuracy(3, 4, 5), Bound)


def test_settings_outside_the_domain_are_refused():
    with pytest.raises(UsageError, match=r"copying\.required_bits: copied is 0; it must be an integer of at least 1"):
        copying.required_bits(0, 2)
    with pytest.raises(UsageError, match=r"copying\.best_accuracy: alphabet is 1; it must be an integer of at least 2"):
        copying.best_accuracy(1, 1, 0)
    with pytest.raises(UsageError, match="state_bits is -1; it must be an integer of at least 0"):
        copying.best_accuracy(1, 2, -1)
