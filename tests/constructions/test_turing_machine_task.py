import pytest
import torch

from statewise.constructions.turing_machine_examples import EXAMPLES
from statewise.constructions.turing_machine_task import MOST_LISTED, TuringMachineTask
from statewise.core import UsageError


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("machine", EXAMPLES)
def test_samples_are_inputs_with_the_answers_of_the_rule(machine, size):
    task = TuringMachineTask(machine)
    batch = task.examples("test", seed=0, start=0, count=16, size=size)
    assert batch.tokens.shape == (16, task.length(size))
    assert batch.tokens.dtype == torch.int64
    assert int(batch.tokens.max()) < task.vocabulary(size)
    assert batch.scored.sum(1).eq(1).all()
    assert batch.scored[:, -1].all()
    assert torch.equal(task.solve(batch), batch.targets)
    assert all(task.valid(tokens) for tokens in batch.tokens)


@pytest.mark.parametrize("machine", EXAMPLES)
def test_examples_do_not_depend_on_their_batch(machine):
    task = TuringMachineTask(machine)
    together = task.examples("train", seed=1, start=0, count=8, size=6).tokens
    assert torch.equal(together[5:], task.examples("train", seed=1, start=5, count=3, size=6).tokens)


@pytest.mark.parametrize(("machine", "words"), [("increment", 16), ("palindrome", 16), ("busy-beaver-3", 1)])
def test_every_word_is_listed_once(machine, words):
    task = TuringMachineTask(machine)
    listed = list(task.inputs(4))
    assert len({tuple(tokens.tolist()) for tokens in listed}) == len(listed) == words
    assert all(task.valid(tokens) for tokens in listed)


def test_words_that_are_too_many_are_not_listed():
    task = TuringMachineTask("increment")
    assert len(list(task.inputs(10))) == MOST_LISTED
    assert task.inputs(11) is None


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_the_more_frequent_verdict_on_palindromes_is_as_frequent_as_stated(size):
    task = TuringMachineTask("palindrome")
    answers = task.examples("test", seed=0, start=0, count=2000, size=size).targets[:, -1]
    yes = task.first_state + task.example.machine.states.index("yes")
    assert (answers == yes).double().mean().item() == pytest.approx(task.chance(size), abs=0.04)


@pytest.mark.parametrize(
    "tokens",
    [
        [1],
        [0, 9, 3, 9],
        [0, 9, 3, 9, 1, 1],
        [0, 9, 2, 9, 1],
        [0, 9, 3, 10, 1],
        [0, 10, 3, 10, 1],
        [0, 9, 9, 9, 1],
        [1, 9, 3, 9, 1],
    ],
)
def test_what_is_no_tape_is_not_an_input(tokens):
    task = TuringMachineTask("increment")
    assert task.valid(torch.tensor([0, 9, 3, 9, 1]))
    assert not task.valid(torch.tensor(tokens))


def test_an_unknown_machine_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="unknown Turing machine 'incremant': did you mean increment"):
        TuringMachineTask("incremant")
