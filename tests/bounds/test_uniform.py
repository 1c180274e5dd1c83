"""One reader for every length: the smallest automata known by hand, and automata that are run on every input."""

from dataclasses import dataclass
from itertools import product

import pytest
import torch

from statewise.bounds import dyck
from statewise.bounds.closed_cover import smallest_automaton
from statewise.bounds.futures import futures_of
from statewise.bounds.listed import every_input_up_to
from statewise.bounds.uniform import UniformStates, conflicts_of_all, count_uniform_bits, uniform_states
from statewise.core.errors import UsageError
from statewise.core.random import integers
from statewise.tasks import UNSCORED, Dyck, IndexLookup, Parity
from statewise.tasks.task import every_sequence, score_last


@dataclass(frozen=True)
class EveryLength(Parity):
    """Bits of any length and a rule of the whole string, asked after its last bit."""

    rule: str = "parity"

    def solve(self, batch):
        bits = batch.tokens
        answers = {
            "parity": bits.sum(1) % 2,
            "thirds": (bits.sum(1) % 3 == 0).long(),
            "pairs": (bits[:, 0] == bits[:, -1]).long(),
            "longest": torch.full((len(bits),), bits.shape[1]),
        }
        return score_last(bits, answers[self.rule][:, None]).targets

    def build(self, words, size, *, split, start):
        tokens = torch.from_numpy(integers(words, 2))
        return score_last(tokens, self.solve(score_last(tokens, tokens))[:, -1:])


@dataclass(frozen=True)
class AnyBrackets(Dyck):
    """Brackets of odd lengths too, which are never balanced."""

    size_step = 1

    def valid(self, tokens):
        return bool(((tokens >= 0) & (tokens < 2 * self.types)).all())

    def inputs(self, size):
        return every_sequence(2 * self.types, size)

    def build(self, words, size, *, split, start):
        tokens = torch.from_numpy(integers(words[:, :size], 2 * self.types))
        return score_last(tokens, self.solve(score_last(tokens, tokens))[:, -1:])


@pytest.mark.parametrize(
    ("task", "size", "states"),
    [
        (Parity(), 1, 1),
        (Parity(), 2, 2),
        (Parity(), 8, 2),
        (Parity(every_prefix=False), 8, 2),
        (EveryLength(rule="thirds"), 7, 3),
        (EveryLength(rule="pairs"), 6, 3),
    ],
    ids=str,
)
def test_automata_known_by_hand(task, size, states):
    counted = uniform_states(task, size)
    assert (counted.at_least, counted.at_most, counted.exact) == (states, states, True)


@pytest.mark.parametrize(
    ("types", "depth", "size", "states"), [(1, 2, 6, 4), (2, 2, 5, 8), (1, 3, 8, 5), (2, 3, 6, 16), (3, 1, 4, 5)]
)
def test_the_closed_form_for_brackets_of_every_length(types, depth, size, states):
    bound = count_uniform_bits(AnyBrackets(types=types, depth=depth), size)
    assert 2**bound.value == pytest.approx(states, rel=1e-12)
    assert bound.value == pytest.approx(dyck.required_bits_all_lengths(types, depth).value, rel=1e-12)
    assert f"exact, an automaton of {states} is right on all of them" in bound.holds_for


def test_even_lengths_alone_ask_for_no_more_than_all():
    counted = uniform_states(Dyck(types=1, depth=2), 8)
    assert (counted.at_least, counted.exact) == (3, False)
    assert counted.at_most >= 4
    assert counted.shown == f"[3, {counted.at_most}]"
    assert "at least 3 states are needed" in count_uniform_bits(Dyck(types=1, depth=2), 8).holds_for


def run(automaton, futures, tokens):
    """What the automaton answers to each token, None where no input asks."""
    state, answers = automaton.settled[0], []
    for token in tokens:
        known = {
            target
            for future in automaton.sets[state]
            for admitted, target, _ in futures.edges[future]
            if admitted == token and target != UNSCORED
        }
        assert len(known) <= 1
        answers.append(next(iter(known), None))
        state = automaton.after[state, token]
        assert state in automaton.settled
    return answers


@pytest.mark.parametrize(
    ("task", "size"),
    [
        (Parity(), 5),
        (Dyck(types=1, depth=2), 8),
        (Dyck(types=2, depth=2), 6),
        (IndexLookup(alphabet=2), 4),
        (EveryLength(rule="thirds"), 6),
    ],
    ids=str,
)
def test_the_automaton_is_right_on_every_input(task, size):
    tokens, targets = every_input_up_to(task, size)
    futures = futures_of(tokens, targets, name="here")
    automaton = smallest_automaton(futures, conflicts_of_all(futures))
    for row, right in zip(tokens.tolist(), targets.tolist(), strict=True):
        word = [token for token in row if token >= 0]
        for answer, target in zip(run(automaton, futures, word), right, strict=False):
            assert target in (UNSCORED, answer)


def test_no_three_states_are_enough_for_even_brackets():
    """Between the clique of 3 and the automata: no machine of 3 states, by trying each of them."""
    inputs = [row for length in (2, 4, 6, 8) for row in product((0, 1), repeat=length)]
    task = Dyck(types=1, depth=2)
    labelled = [(row, bool(task._balanced(torch.tensor([row]).numpy())[0])) for row in inputs]
    for after in product(range(3), repeat=6):
        answers = {}
        for row, balanced in labelled:
            state = 0
            for token in row[:-1]:
                state = after[2 * state + token]
            if answers.setdefault((state, row[-1]), balanced) != balanced:
                break
        else:
            pytest.fail(f"3 states are enough: {after}")


def test_a_reader_of_every_length_needs_no_less_than_one_of_a_single_length():
    for size in (1, 2, 3, 4, 5):
        assert uniform_states(IndexLookup(alphabet=2), size).at_least >= 2**size


def test_answers_that_depend_on_the_size_are_refused():
    @dataclass(frozen=True)
    class ByLength(Parity):
        def solve(self, batch):
            return torch.full_like(batch.tokens, batch.tokens.shape[1] % 2)

        def build(self, words, size, *, split, start):
            tokens = torch.from_numpy(integers(words, 2))
            return score_last(tokens, torch.full_like(tokens, size % 2))

    with pytest.raises(
        UsageError, match=r"^parity, at every size up to 3: after \[0, 0\] the target at 1 is 0 or 1, by"
    ):
        count_uniform_bits(ByLength(), 3)


def test_too_many_futures_and_inputs_are_refused():
    with pytest.raises(UsageError, match=r"index-lookup: 4,096 futures up to size 11; one reader .* at most 2,048"):
        count_uniform_bits(IndexLookup(alphabet=2), 11)
    with pytest.raises(UsageError, match=r"parity: too many inputs of size 17 to list; .* size 16 is the largest"):
        count_uniform_bits(Parity(), 17)


def test_an_interval_is_shown_and_its_lower_end_is_the_bound():
    states = UniformStates(size=4, at_least=16, at_most=17, futures=32)
    assert (states.exact, states.shown) == (False, "[16, 17]")
