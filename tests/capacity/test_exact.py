"""Every string read once: the inequality with nothing left to chance, on readers whose memory is counted by hand."""

import hashlib
import math
from itertools import product

import pytest
import torch

from statewise.capacity import measure, read_index_lookup
from statewise.capacity import meter as meter_module
from statewise.capacity.reading import MIX
from statewise.core.errors import UsageError
from statewise.core.random import seeded
from statewise.models import LanguageModel
from statewise.tasks import IndexLookup, Task

ROUNDING = 1e-9
"""Bits by which a mean of up to 65,536 float64 may be off."""


def every_string(alphabet, size):
    return torch.tensor(list(product(range(alphabet), repeat=size)))


class CodeReader:
    """Keeps one number for a string, `codes` in lexicographic order, and answers as well as that number allows."""

    def __init__(self, alphabet, size, codes):
        self.alphabet = alphabet
        self.powers = alphabet ** torch.arange(size - 1, -1, -1)
        self.codes = torch.as_tensor(codes)
        counts = torch.zeros(int(self.codes.max()) + 1, size, alphabet)
        for place in range(size):
            counts[:, place].index_put_(
                (self.codes, every_string(alphabet, size)[:, place]), torch.tensor(1.0), accumulate=True
            )
        self.answers = (counts + 1e-30).log()

    def __call__(self, tokens):
        return None, self.codes[(tokens * self.powers).sum(1)].to(torch.int16)

    def step(self, token, state):
        return self.answers[state.long(), token - self.alphabet], state


def keeps_first(alphabet, size, bits):
    """As many first symbols as fit into the bits."""
    kept = max(m for m in range(size + 1) if alphabet**m <= 2**bits)
    return [number // alphabet ** (size - kept) for number in range(alphabet**size)]


def keeps_a_hash(alphabet, size, bits):
    """The last bits of a hash of the whole string."""
    digests = (hashlib.sha256(bytes(string)).digest() for string in every_string(alphabet, size).tolist())
    return [int.from_bytes(digest[:2], "little") % 2**bits for digest in digests]


def keeps_the_nearest_word(alphabet, size, bits):
    """Which of 2^bits codewords, no two alike where that many exist, differs from the string in the fewest places."""
    strings = every_string(alphabet, size)
    picked = torch.randperm(len(strings), generator=torch.Generator().manual_seed(bits))[: 2**bits]
    return sum((strings[:, None, place] != strings[picked][None, :, place]).int() for place in range(size)).argmin(1)


def lost(alphabet):
    return -math.log2(1 - MIX + MIX / alphabet)


def read_all(model, alphabet, size):
    (reading,) = measure(model, alphabet=alphabet, sizes=(size,), strings=None)
    assert reading.exact
    assert reading.at_least == reading.recovered_bits
    assert reading.strings == alphabet**size
    return reading


@pytest.mark.parametrize("kept", [keeps_first, keeps_a_hash, keeps_the_nearest_word])
@pytest.mark.parametrize(("alphabet", "size"), [(2, 10), (3, 6), (5, 4), (16, 2)])
@pytest.mark.parametrize("bits", range(13))
def test_a_reader_with_k_bits_of_memory_measures_at_most_k(kept, alphabet, size, bits):
    codes = torch.as_tensor(kept(alphabet, size, bits))
    assert len(codes.unique()) <= 2**bits
    reading = read_all(CodeReader(alphabet, size, codes), alphabet, size)
    assert reading.recovered_bits <= min(bits, reading.required_bits) + ROUNDING


@pytest.mark.parametrize(("alphabet", "size"), [(2, 10), (3, 6), (16, 2)])
def test_the_limit_of_k_bits_is_reached_up_to_the_mixture(alphabet, size):
    """A reader of first symbols: k bits in, k bits out, so the bound above is not one that anything would meet."""
    for symbols in range(size + 1):
        bits = math.ceil(symbols * math.log2(alphabet))
        reading = read_all(CodeReader(alphabet, size, keeps_first(alphabet, size, bits)), alphabet, size)
        assert reading.recovered_bits == pytest.approx(symbols * (math.log2(alphabet) - lost(alphabet)), abs=1e-6)


@pytest.mark.parametrize(("alphabet", "size"), [(2, 1), (2, 12), (4, 5), (256, 1), (256, 2)])
def test_a_perfect_reader_measures_the_whole_string_but_for_the_mixture(alphabet, size):
    reading = read_all(lambda tokens: remembered(tokens, alphabet), alphabet, size)
    assert reading.recovered_bits == pytest.approx(size * (math.log2(alphabet) - lost(alphabet)), rel=1e-12)
    assert size * lost(alphabet) < 0.015 * size


def remembered(tokens, alphabet):
    """Sure of the symbol at the place that the last token asks for."""
    symbols, place = tokens[:, :-1], tokens[:, -1] - alphabet
    logits = torch.zeros(*tokens.shape, alphabet)
    logits[:, -1].scatter_(1, symbols.gather(1, place[:, None]), 1e4)
    return logits


@pytest.mark.parametrize("alphabet", [2, 4])
def test_a_state_that_holds_only_a_parity_measures_nothing(alphabet):
    """One bit is held, and about no place does it say anything: the meter measures what random access recovers."""
    parities = (every_string(alphabet, 6).sum(1) % 2).tolist()
    reading = read_all(CodeReader(alphabet, 6, parities), alphabet, 6)
    assert reading.recovered_bits == pytest.approx(0, abs=1e-6)
    assert reading.state_bits == 16


def test_a_parity_of_one_symbol_is_that_symbol():
    """The zero above is the task's, not the meter's: where the parity is of the first symbol alone, it is all there."""
    first = every_string(2, 6)[:, 0].tolist()
    assert read_all(CodeReader(2, 6, first), 2, 6).recovered_bits == pytest.approx(1 - lost(2), abs=1e-6)


def test_random_strings_estimate_what_every_string_gives():
    model = CodeReader(2, 10, keeps_a_hash(2, 10, 6))
    (drawn,) = measure(model, alphabet=2, sizes=(10,), strings=1000)
    exact = read_all(model, 2, 10)
    assert not drawn.exact
    assert drawn.at_least < exact.recovered_bits
    assert drawn.recovered_bits == pytest.approx(exact.recovered_bits, abs=0.3)
    assert drawn.recovered_bits != exact.recovered_bits


def test_a_number_that_covers_every_string_reads_each_once():
    model = CodeReader(3, 3, keeps_a_hash(3, 3, 2))
    exact = read_all(model, 3, 3)
    assert measure(model, alphabet=3, sizes=(3,), strings=27) == measure(model, alphabet=3, sizes=(3,), strings=900)
    assert measure(model, alphabet=3, sizes=(3,), strings=27) == [exact]
    assert not measure(model, alphabet=3, sizes=(3,), strings=26)[0].exact


def test_each_string_is_read_once_in_an_order_of_the_seed(monkeypatch):
    monkeypatch.setattr(Task, "examples", None)
    read = []

    def model(tokens):
        read.append(tokens[:, :-1])
        return torch.zeros(*tokens.shape, 3)

    for seed in (0, 0, 1):
        measure(model, alphabet=3, sizes=(4,), strings=None, seed=seed)
    first, again, other = (strings[::4] for strings in read)
    assert sorted(first.tolist()) == sorted(other.tolist()) == every_string(3, 4).tolist()
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_place_in_the_batch_does_not_say_which_string_it_is():
    """A reader that carries nothing, and answers as if strings came in order."""

    class Counting:
        def __call__(self, tokens):
            return None, torch.zeros(len(tokens), 0)

        def step(self, token, state):
            row = torch.arange(len(token)) // 4
            place = token - 2
            return 1e4 * torch.nn.functional.one_hot(row // 2 ** (3 - place) % 2, 2).float(), state

    reading = read_all(Counting(), 2, 4)
    assert reading.state_bits == 0
    assert reading.recovered_bits <= 0


def test_a_string_hidden_in_an_attribute_is_not_read_back():
    """The copy that is asked never saw it; the same model asked itself would answer everything."""

    class Attribute:
        kept = None

        def __call__(self, tokens):
            self.kept = tokens
            return None, torch.arange(len(tokens), dtype=torch.int16)

        def step(self, token, state):
            if self.kept is None:
                return torch.zeros(len(token), 2), state
            symbols = self.kept[state.long(), token - 2]
            return 1e4 * torch.nn.functional.one_hot(symbols, 2).float(), state

    assert read_all(Attribute(), 2, 11).recovered_bits <= ROUNDING
    model = Attribute()
    _, state = model(every_string(2, 3))
    assert (model.step(torch.tensor([2] * 8), state)[0].argmax(1) == every_string(2, 3)[:, 0]).all()


@pytest.mark.parametrize("most", [1, 5, 1000])
def test_how_many_strings_are_read_at_once_changes_nothing(monkeypatch, most):
    model = CodeReader(3, 3, keeps_a_hash(3, 3, 2))
    whole = read_all(model, 3, 3)
    monkeypatch.setattr(meter_module, "MOST_READ", most)
    assert read_all(model, 3, 3) == whole


def test_what_differs_between_pieces_alone_is_no_counter(monkeypatch):
    """Whether the string is all ones: alike within each piece of one string, and in one piece unlike in the others."""

    class Marked(CodeReader):
        def __call__(self, tokens):
            return None, (super().__call__(tokens)[1], torch.full((len(tokens),), int(tokens.all())))

        def step(self, token, state):
            return super().step(token, state[0])[0], state

    monkeypatch.setattr(meter_module, "MOST_READ", 1)
    reading = read_all(Marked(2, 3, keeps_first(2, 3, 1)), 2, 3)
    assert (reading.state_bits, reading.counter_bits) == (16 + 64, 0)


@pytest.mark.parametrize(
    ("alphabet", "size", "said"),
    [
        (2, 17, r"2\^17 = 1\.31e\+5 strings"),
        (16, 16, r"16\^16 = 1\.84e\+19 strings"),
        (64, 4096, r"64\^4096 = 1\.30e\+7398"),
    ],
)
def test_more_strings_than_can_be_read_are_refused_with_their_number(alphabet, size, said):
    with pytest.raises(UsageError, match=said + r".*all of them can be read up to 65,536\. Say how many random ones"):
        measure(lambda tokens: tokens, alphabet=alphabet, sizes=(size,), strings=None)


def test_two_to_the_sixteen_strings_are_not_too_many():
    (reading,) = measure(lambda tokens: remembered(tokens, 256), alphabet=256, sizes=(2,), strings=2**16)
    assert (reading.strings, reading.exact) == (65536, True)


@pytest.mark.parametrize("stack", ["mingru", "attention"])
def test_an_untrained_model_of_ours_holds_next_to_nothing_that_it_can_say(stack):
    with seeded(0):
        model = LanguageModel(vocabulary=8, width=4, stack=stack)
    reading = read_index_lookup(model, IndexLookup(alphabet=2), 6, strings=None, seed=0)
    assert (reading.strings, reading.exact) == (64, True)
    assert 6 * math.log2(MIX) < reading.recovered_bits < 0.5
