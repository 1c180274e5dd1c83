import random
from dataclasses import replace
from itertools import count, islice, product

import pytest
import torch

from statewise.constructions.turing_machine import Rule, Run, TuringMachine
from statewise.constructions.turing_machine_examples import EXAMPLES, Example, longest_run
from statewise.constructions.turing_machine_search import LAST_CELL, model_of, search
from statewise.constructions.turing_machine_task import RUN, TuringMachineTask
from statewise.constructions.turing_machine_trace import LoggedRun, last_entry
from statewise.core import UsageError, state_bits
from statewise.search import Budget, RegexTool, generate
from statewise.search.free_running import run_freely
from statewise.search.page import END, SEARCH

LATCHES = {"increment": (8, 3), "palindrome": (13, 3), "busy-beaver-3": (9, 2)}


def written(model, task, words, largest):
    """What a model writes of its own accord after the tapes of some words."""
    first, steps = task.trace(largest).notation.first, longest_run(task.task.example, largest)
    prompts = [[first + token for token in task.task.prompt(word)] for word in words]
    budget = Budget(tokens=11 * steps + 2, calls=steps)
    return prompts, generate(model, prompts, controls=task.controls(largest), budget=budget)


@pytest.mark.parametrize("size", range(1, 7))
@pytest.mark.parametrize("machine", EXAMPLES)
def test_every_run_is_simulated_freely_as_by_the_simulator(machine, size):
    construction = search(size, machine=machine)
    task, example = construction.task, construction.task.task.example
    words = list(product(example.inputs, repeat=example.letters(size)))
    prompts, made = written(construction.model, task, words, size)
    for word, prompt, each in zip(words, prompts, made.written, strict=True):
        run = example.run(word)
        assert prompt + each.tokens == task.page(prompt, size).tokens
        assert task.trace(size).tape(prompt + each.tokens) == run.tape
        assert each.answer == task.trace(size).state(run.verdict)
        assert (len(each.calls), len(each.tokens)) == (len(run.steps), 11 * len(run.steps) + 2)


@pytest.mark.parametrize("machine", ["increment", "palindrome"])
def test_one_model_simulates_words_of_all_sizes_together(machine):
    construction = search(9, machine=machine)
    words = ["".join("01"[size * place % 3 == 0] for place in range(size)) for size in range(1, 10)]
    prompts, made = written(construction.model, construction.task, words, 9)
    for prompt, each in zip(prompts, made.written, strict=True):
        assert prompt + each.tokens == construction.task.page(prompt, 9).tokens


@pytest.mark.parametrize("machine", EXAMPLES)
def test_it_is_exact_where_the_trace_is_given(machine):
    verification = search(5, machine=machine).verify()
    assert verification.exact, verification.first
    assert verification.exhaustive


@pytest.mark.parametrize("machine", EXAMPLES)
def test_what_is_written_is_ahead_by_at_least_one(machine):
    construction = search(4, machine=machine)
    batch = construction.task.examples("test", seed=0, start=0, count=16, size=4)
    best, second = construction.model(batch.tokens)[0][batch.scored].topk(2).values.T
    assert (best - second >= 1).all()


def test_it_runs_freely_as_any_model_does():
    construction = search(12)
    free = run_freely(construction.model, construction.task, split="test", size=12, examples=32, seed=0)
    assert (free.accuracy, free.unanswered) == (1, 0)
    assert free.state_bits == state_bits(construction.model.initial_state(1))


@pytest.mark.parametrize("machine", EXAMPLES)
def test_the_pattern_of_the_last_write_serves_as_well(machine):
    construction = search(4, machine=machine)
    task, trace = construction.task, construction.task.trace(4)
    words, steps = trace.notation.words, longest_run(task.task.example, 4)
    tool = RegexTool(words, pattern=lambda query: last_entry(words, query))
    prompt = [trace.notation.first + token for token in task.task.prompt(["1"] * task.task.example.letters(4))]
    controls = replace(task.controls(4), tools={SEARCH: tool})
    made = generate(construction.model, [prompt], controls=controls, budget=Budget(tokens=11 * steps + 2, calls=steps))
    assert prompt + made.written[0].tokens == task.page(prompt, 4).tokens


def test_random_machines_are_simulated(monkeypatch):
    drawn = (random_run(random.Random(seed)) for seed in count())
    for example, word, run in islice((each for each in drawn if len(each[2].steps) >= 15), 10):
        monkeypatch.setitem(EXAMPLES, example.machine.name, example)
        task = LoggedRun(TuringMachineTask(example.machine.name))
        trace = task.trace(3)
        prompt = [trace.notation.first + token for token in task.task.prompt(word)]
        made = generate(model_of(trace), [prompt], controls=task.controls(3), budget=Budget(tokens=662, calls=60))
        assert trace.tape(prompt + made.written[0].tokens) == run.tape
        assert made.written[0].answer == trace.state(run.verdict)
        assert len(made.written[0].tokens) == 11 * len(run.steps) + 2


def random_run(draws):
    """A machine of 4 states and 3 symbols, a word of 3, and its run: no steps where it takes more than 60."""
    states, symbols = ("a", "b", "c", "d", "no", "yes"), ("_", "0", "1")
    into = draws.choices(states, weights=(5, 5, 5, 5, 1, 1), k=12)
    rules = (
        Rule(*known, draws.choice(symbols), draws.choice("LSRLR"), then)
        for known, then in zip(product(states[:4], symbols), into, strict=True)
    )
    machine = TuringMachine(
        name=f"random {draws.random()}",
        symbols=symbols,
        blank="_",
        states=states,
        start="a",
        halting=states[4:],
        rules=tuple(rules),
    )
    word = draws.choices("01", k=3)
    example = Example(
        machine=machine, inputs=("0", "1"), slowest="0", left=60, right=60, chance=lambda size: 1.0, source="drawn"
    )
    try:
        return example, word, machine.run(dict(enumerate(word, start=60)), head=60, cells=123, most=60)
    except UsageError:
        return example, word, Run((), "", {})


def test_thousands_of_steps_leave_latches_as_they_were():
    construction = search(64, machine="palindrome")
    task = construction.task
    prompt = [task.trace(64).notation.first + token for token in task.task.prompt("0" * 64)]
    page = task.page(prompt, 64)
    assert len(page.tokens) - len(prompt) == 11 * 65 * 66 // 2 + 2
    tokens = torch.tensor([page.tokens])
    answers, own = construction.answers(tokens[:, :-1])[0], torch.tensor(page.own[1:])
    assert torch.equal(answers[own], tokens[0, 1:][own])


def logits_for(model, trace, cells):
    """What the model would write when the head is in these cells, one after the other."""
    state, first = model.initial_state(len(cells)), trace.notation.first
    cells = torch.tensor(cells) + trace.cell(0)
    with torch.no_grad():
        for token in (first + RUN, SEARCH, trace.opening, cells, END, trace.symbol("_"), trace.opening):
            logits, state = model.step(torch.as_tensor(token).expand(len(cells)), state)
    return logits


def test_every_cell_is_told_from_its_neighbours_as_far_as_stated():
    construction = search(LAST_CELL - 1)
    trace = construction.task.trace(LAST_CELL - 1)
    assert construction.model.config.vocabulary - trace.cell(0) == LAST_CELL + 1
    for start in range(0, LAST_CELL + 1, 1024):
        cells = list(range(start, min(start + 1024, LAST_CELL + 1)))
        logits = logits_for(construction.model, trace, cells)
        assert (logits.argmax(-1) - trace.cell(0)).tolist() == cells


def test_beyond_neighbours_are_confused():
    trace = LoggedRun(TuringMachineTask("increment")).trace(LAST_CELL + 1)
    logits = logits_for(model_of(trace), trace, [LAST_CELL + 2])[0, trace.cell(LAST_CELL) :]
    assert logits[1] == logits[2] > logits[0]


@pytest.mark.parametrize("machine", EXAMPLES)
def test_the_model_does_not_grow_with_the_tape(machine):
    small, large = (search(size, machine=machine).model for size in (1, 500))
    symbols, states = (len(getattr(EXAMPLES[machine].machine, part)) for part in ("symbols", "states"))
    assert small.config.width == large.config.width == 3 * (symbols + states) + 24
    assert state_bits(small.initial_state(1)) == state_bits(large.initial_state(1)) == 2 * 32 * small.config.width
    for one, other in zip(small.blocks.parameters(), large.blocks.parameters(), strict=True):
        assert one.shape == other.shape


@pytest.mark.parametrize(
    ("machine", "block", "unit"),
    [(machine, block, unit) for machine, units in LATCHES.items() for block in (0, 1) for unit in range(units[block])],
)
def test_every_latch_is_needed(machine, block, unit):
    construction = search(3, machine=machine)
    mixer = construction.model.blocks[block].mixer
    assert mixer.output.weight.abs().sum(0).count_nonzero() == LATCHES[machine][block]
    with torch.no_grad():
        mixer.output.weight[:, unit] = 0
    assert construction.verify().mistakes > 0


def test_every_rule_is_needed():
    for unit in range(7 + 3 * 6):
        construction = search(3)
        with torch.no_grad():
            construction.model.blocks[1].feed_forward[2].weight[:, unit] = 0
        # Of the verdicts only `done` is ever given: two states end no run.
        assert (construction.verify().mistakes > 0) == (unit not in (4, 5))


def test_the_claim_says_what_it_takes():
    assert search(8).claim == (
        "two minGRU layers of width 42, 2,688 bits of state at every size, simulate increment (6 rules) in 11 tokens a "
        "step and 2"
    )


@pytest.mark.parametrize(
    ("size", "machine", "message"),
    [
        (
            0,
            "increment",
            r"turing-machine/search: size is 0; it must be in \[1, 4095\]: float32 has no squares of more",
        ),
        (4096, "increment", r"size is 4096; it must be in \[1, 4095\]"),
        (4097, "palindrome", r"size is 4097; it must be in \[1, 4096\]"),
        (4, "beaver", "unknown Turing machine 'beaver': did you mean busy-beaver-3"),
    ],
)
def test_what_cannot_be_built_is_refused(size, machine, message):
    with pytest.raises(UsageError, match=message):
        search(size, machine=machine)
