"""The search for a limit, and a task of the user's own, as a user types them."""

import sys

import pytest

from statewise.cli import main
from statewise.runs import RunStore
from statewise.tasks import from_identity

MODULE = """
from dataclasses import dataclass
from statewise.tasks import Parity

@dataclass(frozen=True)
class Mine(Parity):
    name = "mine"

@dataclass(frozen=True)
class Wrong(Mine):
    name = "wrong"
    def solve(self, batch):
        return 1 - super().solve(batch)
"""
QUICK = ["--models", "mingru", "--steps", "3", "--seeds", "0", "--width", "4", "--batch-size", "4", "--workers", "1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "our_tasks.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "our_tasks", raising=False)
    yield tmp_path
    sys.modules.pop("our_tasks", None)


@pytest.mark.usefixtures("here")
def test_a_limit_below_the_range_is_said_and_kept_for_the_next_time(capsys):
    asked = ["compare", "index-lookup", "--find-limit", "0.9", "--sizes", "4", "8", "--settings", "alphabet=8", *QUICK]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "index-lookup: mingru is below 90.0 % of tokens at size 4 already, the smallest tried" in said
    assert "a proof forbids it at size" in said
    assert main(asked) == 0
    assert "finished earlier, kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["parity", "--find-limit", "1.5"], "find_limit is 1.5; it must be a token accuracy above 0 and at most 1"),
        (["parity", "--find-limit", "0.5", "--train-sizes", "8"], "it takes no train_sizes"),
        (["parity", "--find-limit", "0.5", "--sizes", "8"], "the smallest and the largest to try; they are 8"),
        (["parity", "--find-limit", "0.5", "--best-of-seeds"], "it takes no best_of_seeds"),
        (["parity", "--find-limit", "0.5", "--constructed"], "it takes neither constructed nor init"),
        (["parity", "--find-limit", "0.5", "--init", "construction:parity/gru"], "it takes neither constructed nor"),
        (["text", "--find-limit", "0.5"], "text is measured in nats; find_limit is about token accuracy"),
        (["our_tasks:Mine"], "our_tasks:Mine is a task of your own, for which no sizes are preset; name some"),
        (["our_tasks:Wrong", "--sizes", "4"], "wrong: solve disagrees with the task's own targets: for ["),
    ],
)
def test_what_cannot_be_searched_or_trained_is_one_line_with_status_2(more, message, here, capsys):
    assert main(["compare", *more]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (here / "runs").exists()


def test_a_task_of_ones_own_is_trained_and_found_again(here, capsys, monkeypatch):
    assert main(["compare", "our_tasks:Mine", "--sizes", "4", "6", "--no-page", *QUICK]) == 0
    said = capsys.readouterr().out
    assert "did not learn sizes 4 and 6, for which no bound is proved" in said
    (record,) = RunStore(here / "runs").records()
    assert record.config["task"]["class"] == "our_tasks.Mine"
    monkeypatch.syspath_prepend(here)
    assert from_identity(record.config["task"]).name == "mine"
    with pytest.raises(ValueError, match=r"task 'gone\.Mine': importing gone failed"):
        from_identity(record.config["task"] | {"class": "gone.Mine"})
