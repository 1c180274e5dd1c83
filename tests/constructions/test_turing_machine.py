from dataclasses import replace
from itertools import product

import pytest

from statewise.constructions.turing_machine import Rule, TuringMachine
from statewise.constructions.turing_machine_examples import (
    BUSY_BEAVER,
    EXAMPLES,
    INCREMENT,
    PALINDROME,
    longest_run,
)
from statewise.core import UsageError

FLIP = TuringMachine(
    name="flip",
    symbols=("_", "0", "1"),
    blank="_",
    states=("go", "done"),
    start="go",
    halting=("done",),
    rules=(Rule("go", "0", "1", "R", "go"), Rule("go", "_", "_", "S", "done")),
)


def words(example, size):
    return list(product(example.inputs, repeat=example.letters(size)))


def read(example, tape):
    return "".join(tape[cell] for cell in sorted(tape)).strip(example.machine.blank)


@pytest.mark.parametrize("size", range(1, 9))
def test_increment_adds_one(size):
    for word in words(INCREMENT, size):
        run = INCREMENT.run(word)
        assert run.verdict == "done"
        assert int(read(INCREMENT, run.tape), 2) == int("".join(word), 2) + 1
        assert len(run.steps) == size + 2 + len("".join(word)) - len("".join(word).rstrip("1"))


@pytest.mark.parametrize("size", range(1, 9))
def test_palindromes_are_told_apart(size):
    for word in words(PALINDROME, size):
        run = PALINDROME.run(word)
        assert run.verdict == ("yes" if word == word[::-1] else "no")
        assert run.verdict == "no" or len(run.steps) == (size + 1) * (size + 2) // 2


def test_the_busy_beaver_takes_21_steps():
    run = BUSY_BEAVER.run("")
    assert len(run.steps) == 21
    assert read(BUSY_BEAVER, run.tape) == "11111"


@pytest.mark.parametrize("size", range(1, 7))
@pytest.mark.parametrize("name", EXAMPLES)
def test_margins_and_longest_runs_are_as_stated(name, size):
    example = EXAMPLES[name]
    runs = [example.run(word) for word in words(example, size)]
    visited = {step.cell for run in runs for step in run.steps}
    assert (min(visited), max(visited)) == (0, example.cells(size) - 1)
    assert max(len(run.steps) for run in runs) == longest_run(example, size)


def test_a_run_keeps_the_tape_that_it_is_given():
    tape = {0: "0"}
    assert FLIP.run(tape, head=0, cells=2).tape == {0: "1", 1: "_"}
    assert tape == {0: "0"}


@pytest.mark.parametrize(
    ("tape", "settings", "message"),
    [
        (
            {0: "1"},
            {},
            r"Turing machine flip: state 'go' has no rule for '1', which it reads; add one, Rule\('go', '1', …",
        ),
        ({0: "x"}, {}, "Turing machine flip: the symbol of cell 0 is 'x'; it must be one of _, 0, 1"),
        (
            {0: "0"},
            {"cells": 1},
            "flip: step 1 moves R to cell 1; there are cells 0 … 0: give it more `cells`, or start",
        ),
        ({}, {"head": 3}, "flip: the head starts at cell 3; there are cells 0 … 2"),
        ({3: "0"}, {}, "flip: the tape has a symbol at cell 3; there are cells 0 … 2"),
        ({0: "0", 1: "0"}, {"most": 2}, "flip: it has not halted after 2 steps; `most` is how many it may take"),
    ],
)
def test_a_run_that_cannot_be_is_refused(tape, settings, message):
    with pytest.raises(UsageError, match=message):
        FLIP.run(tape, **{"head": 0, "cells": 3, **settings})


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"blank": " "}, "Turing machine flip: blank is ' '; it must be one of _, 0, 1"),
        ({"start": "begin"}, "flip: start is 'begin'; it must be one of go, done"),
        ({"halting": ("done", "end")}, "flip: halting is 'end'; it must be one of go, done"),
        ({"rules": (Rule("go", "0", "2", "R", "go"),)}, "flip: write of .* is '2'; it must be one of _, 0, 1"),
        ({"rules": (Rule("go", "0", "1", "R", "on"),)}, "flip: into of .* is 'on'; it must be one of go, done"),
        ({"rules": (Rule("go", "0", "1", "up", "go"),)}, "flip: move of .* is 'up'; it must be one of L, S, R"),
        ({"rules": (Rule("done", "0", "1", "R", "go"),)}, "flip: .* is a rule of a halting state; a run ends there"),
        ({"rules": FLIP.rules[:1] * 2}, "flip: there are two rules for 'go' reading '0'; give one"),
    ],
)
def test_a_machine_whose_parts_do_not_fit_is_refused(part, message):
    with pytest.raises(UsageError, match=message):
        replace(FLIP, **part)


@pytest.mark.parametrize(("example", "made_of"), [(INCREMENT, "0, 1"), (BUSY_BEAVER, "nothing")])
def test_a_word_of_other_symbols_is_refused(example, made_of):
    with pytest.raises(UsageError, match=f"the word holds '_'; words are made of {made_of}$"):
        example.run("_")
