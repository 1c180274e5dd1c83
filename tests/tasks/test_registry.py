"""Tasks from outside the repository, found at a path, and held to their own rule."""

from dataclasses import dataclass

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.tasks import Parity
from statewise.tasks.own_rule import require_own_rule
from statewise.tasks.registry import import_task

MODULE = """
from dataclasses import dataclass
from statewise.tasks import Parity, Task

@dataclass(frozen=True)
class Mine(Parity):
    shift: int = 2

class Half(Task):
    name = "half"

@dataclass(frozen=True)
class Wanting:
    pass

number = 3
"""
NO_DEFAULT = """
from dataclasses import dataclass, field
from statewise.tasks import Parity

@dataclass(frozen=True, kw_only=True)
class Asking(Parity):
    shift: int
"""


@pytest.fixture(autouse=True)
def _a_users_module(tmp_path, monkeypatch):
    (tmp_path / "tasks_of_a_user.py").write_text(MODULE)
    (tmp_path / "tasks_without_defaults.py").write_text(NO_DEFAULT)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("path", ["tasks_of_a_user.Mine", "tasks_of_a_user:Mine"])
def test_a_task_comes_with_its_defaults(path):
    task = import_task(path)
    assert isinstance(task, Parity)
    assert task.identity() == {"name": "parity", "every_prefix": True, "shift": 2}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("tasks_of_a_user:Nine", r"tasks_of_a_user.py has no 'Nine': did you mean Mine\?"),
        ("tasks_of_a_user:number", "an object of type int is not a subclass of statewise.tasks.Task"),
        ("tasks_of_a_user:Wanting", "Wanting is not a subclass of statewise.tasks.Task"),
        ("tasks_of_a_user:Half", "Half does not define build, chance, cut, inputs, length, num_words, solve, valid"),
        ("tasks_without_defaults:Asking", "the field 'shift' of Asking has no default; give it one"),
        ("no_such_module:Mine", "importing no_such_module failed: ModuleNotFoundError"),
        ("json:Mine", "has no 'Mine'; no task is in it"),
    ],
)
def test_a_path_that_leads_to_no_task_is_refused_in_one_line(path, message):
    with pytest.raises(UsageError, match=message) as caught:
        import_task(path)
    assert str(caught.value).startswith(f"task '{path}': ")
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Late(Parity):
    """Right on all but the last position."""

    def solve(self, batch):
        answers = Parity.solve(self, batch)
        return torch.cat([answers[:, :-1], 1 - answers[:, -1:]], dim=1)


@dataclass(frozen=True)
class Flat(Parity):
    def solve(self, batch):
        return Parity.solve(self, batch)[:, -1]


def test_the_first_example_that_a_rule_gets_wrong_is_shown():
    first = Late().examples("train", seed=0, start=0, count=1, size=3)
    answer = int(first.targets[0, 2])
    with pytest.raises(UsageError) as caught:
        require_own_rule(Late(), 3)
    assert str(caught.value) == (
        f"parity: solve disagrees with the task's own targets: for {first.tokens[0].tolist()} "
        f"(example 0 of size 3) the target at 2 is {answer}, solve says {1 - answer}"
    )


def test_a_rule_of_another_shape_is_refused():
    with pytest.raises(UsageError, match=r"parity: solve gave \(256,\) for \(256, 3\) targets"):
        require_own_rule(Flat(), 3)
    require_own_rule(Parity(), 3)
