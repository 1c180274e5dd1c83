"""statewise bounds: what is proved, and what is counted, for the package's tasks and for a user's."""

import pytest

from statewise.cli import main

MODULE = """
from dataclasses import dataclass
from typing import ClassVar
from statewise.tasks import Parity

@dataclass(frozen=True)
class Mine(Parity):
    name: ClassVar[str] = "mine"

@dataclass(frozen=True)
class Wrong(Mine):
    def solve(self, batch):
        return 1 - Parity.solve(self, batch)
"""


PROMISE = """
from dataclasses import dataclass
from itertools import product
from typing import ClassVar
import torch
from statewise.core.random import integers
from statewise.tasks import Parity
from statewise.tasks.task import score_last

@dataclass(frozen=True)
class Promise(Parity):
    name: ClassVar[str] = "promise"

    def solve(self, batch):
        return score_last(batch.tokens, (batch.tokens[:, :1] == batch.tokens[:, 1:]).long()).targets

    def length(self, size):
        return 2

    def inputs(self, size):
        return iter(torch.tensor([(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 0)]))

    def build(self, words, size, *, split, start):
        first, step = integers(words, 3), integers(words >> 7, 2)
        tokens = torch.cat([torch.from_numpy(first), torch.from_numpy((first + step) % 3)], dim=1)
        return score_last(tokens, self.solve(score_last(tokens, tokens))[:, 1:])
"""


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    (tmp_path / "counted_by_a_user.py").write_text(MODULE)
    (tmp_path / "promised_by_a_user.py").write_text(PROMISE)
    monkeypatch.chdir(tmp_path)


def said(capsys, *arguments):
    assert main(["bounds", *arguments]) == 0
    return capsys.readouterr().out


def test_a_task_of_ones_own_is_counted_after_every_cut_and_at_smaller_sizes(capsys):
    out = said(capsys, "--task", "counted_by_a_user:Mine", "--size", "4", "--cut", "all")
    assert out.startswith("mine (every_prefix True) at size 4\n")
    assert "bits: at least 1\n" in out
    assert "exact: the classes of all cuts form one reader" in out
    rows = [line.split() for line in out.splitlines()]
    for row in (["after", "states", "bits", "prefixes"], ["2", "2", "exact", "1", "4"], ["4", "1", "exact", "0", "16"]):
        assert row in rows
    for row in (["1", "1", "exact", "0"], ["3", "2", "exact", "1"]):
        assert row in rows


def test_a_task_of_ones_own_is_counted_at_its_cut_without_being_asked(capsys):
    out = said(capsys, "counted_by_a_user.Mine", "--size", "4", "--settings", "every_prefix=False")
    assert "mine (every_prefix False) at size 4" in out
    assert "exact for the cut after 2 tokens, 2 states" in out
    assert "counted over 4 prefixes of 2 tokens: Myhill-Nerode classes" in out


def test_a_known_task_has_its_closed_forms_first_and_what_is_counted_beside_them(capsys):
    settings = ("index-lookup", "--size", "4", "--settings", "alphabet=3", "queries=1")
    assert said(capsys, *settings, "--cut", "4").count("bits: at least 6.339\n") == 2
    assert said(capsys, *settings).count("bits: at least 6.339\n") == 1


def test_text_has_no_bits_and_nothing_else(capsys):
    title, _, why = said(capsys, "text", "--size", "64").splitlines()
    assert title.endswith("at size 64")
    assert why == "  required state: not defined in bits; no rule says what comes next"


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("in-context-regression", ["real dimensions: at least 9"] * 2),
        ("linear-attention-teacher", ["real dimensions: at least 10"]),
    ],
)
def test_tasks_over_vectors_have_real_dimensions_in_place_of_bits(capsys, name, claims):
    lines = [line.strip() for line in said(capsys, name, "--size", "12").splitlines()]
    assert any(line.startswith("required state: not defined in bits; inputs are real numbers") for line in lines)
    assert [line for line in lines if " at least " in line] == claims


def test_growths_are_printed_as_such_and_numbers_where_there_are_any(capsys):
    out = said(capsys, "is-tree", "--size", "16")
    assert "bits: at least 13\n" in out
    assert "bits with a chain of thought: at least 13\n" in out
    assert "chain-of-thought tokens: 31 is enough\n" in out
    assert "chain-of-thought tokens: 566 is enough\n" in out
    assert "chain-of-thought tokens: O(n log n) is enough, constant not given\n" in out
    assert "nan" not in out


def test_one_reader_for_every_size(capsys):
    out = said(capsys, "dyck", "--size", "6", "--uniform", "--settings", "types=1")
    assert "any one deterministic recurrent reader for every size up to 6" in out
    assert "(one reader for every size up to it)" in out
    assert ["2", "2", "exact", "1"] in [line.split() for line in out.splitlines()]


def test_intervals_are_rounded_outwards_and_promises_are_said(capsys, monkeypatch):
    monkeypatch.setattr("statewise.bounds.conflicts.MOST_FUTURES", 1)
    out = said(capsys, "--task", "promised_by_a_user:Promise", "--size", "1", "--cut", "all")
    assert "each row is about its cut alone" in out
    assert "[1, 3]" in out
    assert "[0, 1.585]" in out


def test_a_sample_says_at_least(capsys):
    out = said(capsys, "index-lookup", "--size", "64", "--settings", "queries=1", "--cut", "64", "--sample", "16")
    assert "from a sample, so more may be needed" in out
    assert "bits: at least 4\n" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "4"], "bounds: no task is named; name one"),
        (["parity", "--task", "dyck", "--size", "4"], "bounds: two tasks are named; name one"),
        (["--task", "party", "--size", "4"], "unknown task 'party': did you mean parity or majority?"),
        (["--task", "no_such_module:Mine", "--size", "4"], "task 'no_such_module:Mine': importing no_such_module"),
        (["--task", "counted_by_a_user:Nine", "--size", "4"], "has no 'Nine': did you mean Mine?"),
        (
            ["--task", "counted_by_a_user:Wrong", "--size", "4"],
            "mine: solve disagrees with the task's own targets",
        ),
        (["--task", "counted_by_a_user:Mine", "--size", "0"], "mine: size is 0; it must be a positive integer"),
        (["parity", "--size", "4", "--cut", "5"], "cut is 5; an input of parity of size 4 has 4 tokens"),
        (["parity", "--size", "40", "--cut", "all"], "parity: too many inputs of size 40 to list;"),
        (["parity", "--size", "4", "--uniform", "--cut", "2"], "uniform counts at every length at once"),
        (["text", "--size", "8", "--cut", "all"], "text: the state that it requires is not defined in bits: no rule"),
        (["in-context-regression", "--size", "8", "--cut", "2"], "not defined in bits: inputs are real numbers"),
        (["in-context-regression", "--size", "2"], "size is 2; it must be at least inputs_dim, 3"),
    ],
)
def test_bad_input_is_one_line_with_status_2(arguments, message, capsys):
    assert main(["bounds", *arguments]) == 2
    found = capsys.readouterr()
    assert message in found.err
    assert found.err.count("\n") == 1
    assert found.out == ""
