"""Sequences with a rule: sample and solve. Knows no model."""

import ast
from collections.abc import Sequence
from typing import Any

from statewise.core.config import from_plain, to_plain
from statewise.core.errors import UsageError, pick
from statewise.tasks.dyck import Dyck
from statewise.tasks.index_lookup import IndexLookup
from statewise.tasks.parity import Parity
from statewise.tasks.task import UNSCORED, Batch, Task
from statewise.tasks.text import Text

__all__ = [
    "TASKS",
    "UNSCORED",
    "Batch",
    "Dyck",
    "IndexLookup",
    "Parity",
    "Task",
    "Text",
    "configure",
    "from_identity",
]

TASKS: dict[str, type[Task]] = {task.name: task for task in (IndexLookup, Dyck, Parity, Text)}


def from_identity(identity: dict[str, Any]) -> Task:
    """The task that `Task.identity` describes; a text's digest comes with it, and other contents are refused.

    >>> from_identity(IndexLookup(alphabet=4).identity())
    IndexLookup(alphabet=4, queries=1)
    """
    fields = {key: value for key, value in identity.items() if key != "name"}
    return from_plain(pick("task", str(identity.get("name")), TASKS), fields, where="task")


def configure(task: Task, settings: Sequence[str]) -> Task:
    """The task with some fields set from texts like `alphabet=16`.

    >>> configure(IndexLookup(), ["alphabet=4"])
    IndexLookup(alphabet=4, queries=1)
    """
    fields = to_plain(task)
    for setting in settings:
        name, sign, text = setting.partition("=")
        if not sign:
            raise UsageError(f"{task.name}: setting {setting!r} is not of the form name=value")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError):
            value = text
        fields[name] = value
    return from_plain(type(task), fields, where=task.name)
