"""The meter on readers whose memory is known, on side doors, and on models of our own."""

import math
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.capacity import count_state_bits, measure, read_index_lookup
from statewise.capacity import meter as meter_module
from statewise.capacity.reading import MIX
from statewise.core.errors import UsageError
from statewise.core.random import seeded
from statewise.models import LanguageModel
from statewise.tasks import IndexLookup, Task

SURE = 1e4


def lost(alphabet):
    """Bits a symbol that the mixture with the uniform distribution costs a perfect reader."""
    return -math.log2(1 - MIX + MIX / alphabet)


class Held(NamedTuple):
    symbols: Any
    counter: Any


class Reader:
    """A model that keeps the first `most` symbols in bytes, and how many it read; it answers those surely."""

    def __init__(self, alphabet, most):
        self.alphabet, self.most = alphabet, most

    def __call__(self, tokens, state=None):
        state = self.initial_state(len(tokens)) if state is None else state
        return torch.zeros(*tokens.shape, 99), self.read(tokens, state)

    def initial_state(self, batch):
        return Held(torch.zeros(batch, 0, dtype=torch.uint8), torch.zeros(batch, dtype=torch.int64))

    def read(self, tokens, state):
        symbols = torch.cat([state.symbols, tokens.to(torch.uint8)], 1)[:, : self.most]
        return Held(symbols, state.counter + tokens.shape[1])

    def step(self, token, state):
        place = (token - self.alphabet).clamp(max=max(state.symbols.shape[1] - 1, 0))
        logits = torch.zeros(len(token), 99)
        if state.symbols.shape[1]:
            known = (place == token - self.alphabet).float()
            symbol = state.symbols.gather(1, place[:, None]).long()
            logits.scatter_(1, symbol, SURE * known[:, None])
        return logits, state


def read(model, alphabet=16, size=8, strings=64, seed=0):
    return read_index_lookup(model, IndexLookup(alphabet=alphabet), size, strings=strings, seed=seed)


@pytest.mark.parametrize("alphabet", [2, 3, 16, 64])
@pytest.mark.parametrize("size", [1, 8, 33])
def test_a_perfect_reader_recovers_everything_but_the_mixture(alphabet, size):
    reading = read(Reader(alphabet, size), alphabet, size)
    assert reading.recovered_bits == pytest.approx(size * (math.log2(alphabet) - lost(alphabet)), rel=1e-12)
    assert size * math.log2(alphabet) - 0.015 * size < reading.recovered_bits <= reading.required_bits
    assert reading.required_bits == size * math.log2(alphabet)
    assert (reading.state_bits, reading.counter_bits) == (8 * size, 64)
    assert reading.utilisation == reading.recovered_bits / (8 * size)


@pytest.mark.parametrize("most", [0, 1, 5, 8])
def test_a_reader_of_the_first_symbols_recovers_those(most):
    reading = read(Reader(16, most))
    assert reading.recovered_bits == pytest.approx(most * (4 - lost(16)), abs=1e-9)
    assert reading.state_bits == 8 * most
    assert reading.utilisation <= 0.5


def test_a_predictor_that_knows_nothing_recovers_nothing():
    reading = read(Reader(16, 0))
    assert reading.recovered_bits == pytest.approx(0.0, abs=1e-9)
    assert reading.at_least <= 0


def test_a_predictor_that_is_surely_wrong_loses_no_more_than_the_mixture_allows():
    class Wrong(Reader):
        def read(self, tokens, state):
            return super().read((tokens + 1) % self.alphabet, state)

    reading = read(Wrong(16, 8))
    assert reading.recovered_bits == pytest.approx(8 * math.log2(MIX), rel=1e-12)
    assert reading.at_least == pytest.approx(8 * math.log2(MIX), rel=1e-12)


def test_only_the_chances_of_symbols_count():
    """Chance that a model gives to tokens that are no symbols is taken away before it is measured."""

    class Distracted(Reader):
        def step(self, token, state):
            logits, state = super().step(token, state)
            logits[:, self.alphabet :] = 2 * SURE
            return logits, state

    assert read(Distracted(16, 8)).recovered_bits == read(Reader(16, 8)).recovered_bits


def test_no_graph_is_kept_of_what_is_read():
    class Watched(Reader):
        def __call__(self, tokens, state=None):
            assert not torch.is_grad_enabled()
            return super().__call__(tokens, state)

        def step(self, token, state):
            assert not torch.is_grad_enabled()
            return super().step(token, state)

    assert read(Watched(16, 8)) == read(Reader(16, 8))


def test_the_limit_for_claims_lies_below_the_estimate_and_closes_in():
    few, many = read(Reader(16, 8), strings=16), read(Reader(16, 8), strings=1024)
    assert few.at_least < many.at_least < many.recovered_bits
    assert many.recovered_bits - many.at_least < 1


def test_strings_are_those_of_the_capacity_split_and_of_the_seed(monkeypatch):
    asked = []
    examples = Task.examples

    def spy(task, split, **options):
        asked.append((split, options["seed"], options["start"], options["count"]))
        return examples(task, split, **options)

    monkeypatch.setattr(Task, "examples", spy)
    read(Reader(16, 8), strings=10, seed=3)
    assert asked == [("capacity", 3, 0, 10)]


def test_every_string_is_asked_at_every_place_however_many_are_stepped_at_once(monkeypatch):
    whole = read(Reader(16, 5), strings=37)
    for most in (1, 8, 9, 100):
        monkeypatch.setattr(meter_module, "MOST_BRANCHES", most)
        assert read(Reader(16, 5), strings=37) == whole


# What a state can hold


class Codebook:
    """The state is one of 2^bits numbers, a function of the string; the answers are the best there are for it."""

    def __init__(self, alphabet, size, code, bits):
        self.alphabet, self.size = alphabet, size
        self.powers = alphabet ** torch.arange(size)
        self.code = torch.tensor(code)
        strings = torch.arange(alphabet**size)[:, None] // self.powers % alphabet
        self.answers = torch.zeros(2**bits, size, 99)
        for state in range(2**bits):
            for place in range(size):
                counts = torch.bincount(strings[self.code == state, place], minlength=alphabet).float()
                self.answers[state, place, :alphabet] = (counts / counts.sum().clamp(min=1) + 1e-12).log()

    def __call__(self, tokens, state=None):
        return None, self.code[(tokens * self.powers).sum(1)].to(torch.uint8)

    def step(self, token, state):
        return self.answers[state.long(), token - self.alphabet], state


@given(st.data())
@settings(deadline=None, derandomize=True, max_examples=30)
def test_no_state_of_b_bits_yields_more_than_b_bits(data):
    alphabet, size = data.draw(st.sampled_from([(2, 4), (3, 3), (4, 2)]))
    bits = data.draw(st.integers(0, 4))
    code = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=alphabet**size, max_size=alphabet**size))
    reading = read(Codebook(alphabet, size, code, bits), alphabet, size, strings=512)
    assert reading.state_bits == (8 if len(set(code)) > 1 else 0)
    assert reading.at_least <= reading.recovered_bits <= reading.required_bits
    assert reading.at_least <= bits
    # The estimate is a mean over strings of numbers whose range is at most that of a whole string's bits.
    assert reading.recovered_bits <= bits + 4 * reading.required_bits / 512**0.5


def test_half_a_string_in_a_codebook_is_half_of_its_bits():
    code = [number % 16 for number in range(256)]
    reading = read(Codebook(4, 4, code, 4), 4, 4)
    assert reading.recovered_bits == pytest.approx(2 * (2 - lost(4)), abs=1e-3)


# Side doors


class Attribute(Reader):
    """Keeps the strings in itself, and carries only which of them it is."""

    secret = None

    def read(self, tokens, state):
        self.secret = tokens
        return Held(torch.arange(len(tokens), dtype=torch.uint8)[:, None], state.counter + tokens.shape[1])

    def step(self, token, state):
        if self.secret is None:
            return torch.zeros(len(token), 99), state
        symbol = self.secret[state.symbols[:, 0].long(), token - self.alphabet]
        return torch.zeros(len(token), 99).scatter_(1, symbol[:, None], SURE), state


class Cell(Attribute):
    """The same, in a mutable object that an ordinary copy of the model shares."""

    def __init__(self, alphabet, most):
        super().__init__(alphabet, most)
        self.cell = []

    @property
    def secret(self):
        return self.cell[-1] if self.cell else None

    @secret.setter
    def secret(self, tokens):
        self.cell.append(tokens)


class StateType(Reader):
    """Returns a state of a class made for the occasion, with the strings on it."""

    def read(self, tokens, state):
        class Marked(NamedTuple):
            which: Any

        Marked.secret = tokens
        return Marked(torch.arange(len(tokens), dtype=torch.uint8)[:, None])

    def step(self, token, state):
        symbol = type(state).secret[state.which[:, 0].long(), token - self.alphabet]
        return torch.zeros(len(token), 99).scatter_(1, symbol[:, None], SURE), state


@pytest.mark.parametrize("door", [Attribute, Cell, StateType])
def test_nothing_comes_through_a_side_door(door):
    reading = read(door(16, 8))
    assert reading.recovered_bits <= 1e-9
    assert reading.at_least <= 0
    assert reading.state_bits == 8


def test_a_whole_batch_hidden_in_a_counter_is_counted_as_state():
    """Every row carries all strings, so the rows are alike; but they would not be for other strings."""

    class Smuggler(Reader):
        def read(self, tokens, state):
            everything = tokens.flatten().expand(len(tokens), -1).contiguous()
            return Held(torch.arange(len(tokens), dtype=torch.uint8)[:, None], everything)

        def step(self, token, state):
            place = 8 * state.symbols[:, :1].long() + token[:, None] - self.alphabet
            return torch.zeros(len(token), 99).scatter_(1, state.counter.gather(1, place), SURE), state

    reading = read(Smuggler(16, 8), strings=20)
    assert reading.recovered_bits > 31
    assert reading.state_bits == 8 + 64 * 8 * 20
    assert reading.counter_bits == 0


def test_the_model_is_left_as_it_was_but_for_what_it_does_itself():
    model = Attribute(16, 8)
    read(model, strings=4)
    assert torch.equal(model.secret, IndexLookup().examples("capacity", seed=0, start=0, count=4, size=8).tokens[:, :8])


# Counting


class Parts(NamedTuple):
    one: Any
    other: Any = ()


ALIKE = torch.full((4,), 7)
UNLIKE = torch.tensor([7, 7, 7, 8])


@pytest.mark.parametrize(
    ("state", "held", "counters"),
    [
        (Parts(torch.zeros(4, 16), ALIKE), 512, 64),
        (Parts(torch.zeros(4, 16), UNLIKE), 512 + 64, 0),
        (Parts(torch.zeros(4, 16)), 512, 0),
        (Parts(torch.zeros(4, 3), (torch.full((4, 2), 5, dtype=torch.int32), ())), 96, 64),
        (Parts(torch.zeros(4, 2, dtype=torch.bool)), 0, 16),
        (Parts(torch.tensor([[True], [False], [True], [True]])), 8, 0),
        (Parts(torch.ones(4, 2, dtype=torch.complex64)), 128, 0),
        (Parts((), ()), 0, 0),
    ],
    ids=["counter", "integers that differ", "floats alike", "nested", "bools alike", "bools", "complex", "nothing"],
)
def test_integers_that_are_alike_in_every_sequence_are_counted_apart(state, held, counters):
    assert count_state_bits(state) == (held, counters)


def test_a_counter_is_the_same_after_other_tokens():
    state = Parts(torch.zeros(4, 1), ALIKE)
    assert count_state_bits(state, other=Parts(torch.ones(4, 1), ALIKE)) == (32, 64)
    assert count_state_bits(state, other=Parts(torch.ones(4, 1), ALIKE + 1)) == (96, 0)


# Models of our own


def build(**options):
    with seeded(0):
        return LanguageModel(vocabulary=16 + 12, width=8, **options)


@pytest.mark.parametrize(
    ("options", "held", "counters"),
    [
        ({"stack": "mingru"}, 8 * 32, 0),
        ({"stack": "gru*2"}, 2 * 8 * 32, 0),
        ({"stack": "lstm"}, 2 * 8 * 32, 0),
        ({"stack": "attention"}, 2 * 12 * 8 * 32, 64),
        ({"stack": "mingru", "positions": "learned", "max_length": 13}, 8 * 32, 64),
        ({"stack": "attention", "positions": "learned", "max_length": 13}, 2 * 12 * 8 * 32, 128),
    ],
    ids=str,
)
def test_models_are_measured_at_the_cut(options, held, counters):
    model = build(**options)
    (reading,) = measure(model, alphabet=16, sizes=(12,), strings=32)
    assert (reading.state_bits, reading.counter_bits) == (held, counters)
    assert (reading.size, reading.alphabet, reading.strings) == (12, 16, 32)
    assert abs(reading.recovered_bits) < 12 * 4
    assert reading.at_least <= reading.recovered_bits


def test_a_reading_is_that_of_asking_each_place_in_the_ordinary_way():
    model, task = build(stack="gru"), IndexLookup()
    reading = read(model, size=5, strings=8)
    strings = task.examples("capacity", seed=0, start=0, count=8, size=5).tokens[:, :5]
    bits = 0.0
    with torch.no_grad():
        for string in strings:
            for place in range(5):
                logits, _ = model(torch.cat([string, torch.tensor([16 + place])])[None])
                chance = logits[0, -1, :16].double().softmax(0)[string[place]]
                bits += 4 + math.log2((1 - MIX) * float(chance) + MIX / 16)
    assert reading.recovered_bits == pytest.approx(bits / 8, abs=1e-5)


def test_sizes_are_read_in_the_order_given_and_a_reading_repeats():
    model = build()
    readings = measure(model, alphabet=16, sizes=(12, 3, 5), strings=16)
    assert [reading.size for reading in readings] == [12, 3, 5]
    assert measure(model, alphabet=16, sizes=(5,), strings=16) == readings[2:]
    assert measure(model, alphabet=16, sizes=(5,), strings=16, seed=1) != readings[2:]


def test_measuring_leaves_the_model_and_the_global_generator_alone():
    model = build()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generator = torch.get_rng_state()
    measure(model, alphabet=16, sizes=(5,), strings=16)
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("strings", [-1, 0, 1])
def test_fewer_than_two_strings_are_refused(strings):
    with pytest.raises(UsageError, match=f"capacity: strings is {strings}; a confidence limit needs at least 2"):
        measure(build(), sizes=(4,), strings=strings)


def test_what_the_task_refuses_is_refused():
    with pytest.raises(UsageError, match="alphabet is 1"):
        measure(build(), alphabet=1)
    with pytest.raises(UsageError, match="size is 0"):
        measure(build(), sizes=(0,))


def reads_back(kept):
    """tokens (B, T) → logits (B, T, V): the first `kept` symbols are answered rightly, the others not at all."""

    def model(tokens):
        symbols, place = tokens[:, :-1], tokens[:, -1] - 4
        logits = torch.zeros(*tokens.shape, 4)
        answer = symbols.gather(1, place[:, None])[:, 0]
        logits[:, -1] = torch.where((place < kept)[:, None], 50.0 * torch.nn.functional.one_hot(answer, 4), 0.0)
        return logits

    return model


@pytest.mark.parametrize("kept", [0, 3, 6])
def test_a_callable_without_a_state_is_read_and_its_state_not_counted(kept):
    (reading,) = measure(reads_back(kept), alphabet=4, sizes=(6,), strings=64)
    assert reading.recovered_bits == pytest.approx(kept * math.log2(4 * (1 - MIX + MIX / 4)), abs=1e-6)
    assert (reading.state_bits, reading.utilisation) == (None, None)


def test_a_callable_reads_as_the_same_model_with_a_state_does():
    model = LanguageModel(vocabulary=10, width=8, stack="gru")
    (apart,) = measure(lambda tokens: model(tokens)[0], alphabet=4, sizes=(6,), strings=16)
    (whole,) = measure(model, alphabet=4, sizes=(6,), strings=16)
    assert apart.recovered_bits == pytest.approx(whole.recovered_bits, abs=1e-4)


def test_a_callable_that_gives_no_logits_is_refused_with_what_it_gave():
    with pytest.raises(
        ValueError, match=r"it gave \(a tensor \(8, 3\), a tensor \(8, 3\)\)\. A model with a state needs a method step"
    ):
        measure(lambda tokens: (tokens, tokens), alphabet=4, sizes=(2,), strings=4)
    with pytest.raises(
        ValueError, match=r"V at least the alphabet, 4, for tokens \(8, 3\); it gave a tensor \(8, 3, 2\)"
    ):
        measure(lambda tokens: torch.zeros(*tokens.shape, 2), alphabet=4, sizes=(2,), strings=4)


def test_limits_of_several_sizes_hold_together():
    model = reads_back(2)
    (alone,) = measure(model, alphabet=4, sizes=(4,), strings=200)
    (first, _) = measure(model, alphabet=4, sizes=(4, 5), strings=200)
    assert first.recovered_bits == alone.recovered_bits
    assert first.at_least < alone.at_least
