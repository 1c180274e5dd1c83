"""Sequences with a rule: sample and solve. Knows no model."""

from collections.abc import Sequence
from typing import Any

from statewise.core.config import from_plain, to_plain
from statewise.core.dotted import import_dotted
from statewise.core.errors import pick
from statewise.core.settings import parse_settings
from statewise.tasks.associative_recall import AssociativeRecall
from statewise.tasks.bucket_sort import BucketSort
from statewise.tasks.c_gram_retrieval import CGramRetrieval
from statewise.tasks.copy import Copy
from statewise.tasks.counting import Counting
from statewise.tasks.cycle_navigation import CycleNavigation
from statewise.tasks.disjointness import Disjointness
from statewise.tasks.dyck import Dyck
from statewise.tasks.equality import Equality
from statewise.tasks.even_pairs import EvenPairs
from statewise.tasks.fuzzy_recall import FuzzyRecall
from statewise.tasks.in_context_regression import InContextRegression
from statewise.tasks.index_lookup import IndexLookup
from statewise.tasks.induction import Induction
from statewise.tasks.is_tree import IsTree
from statewise.tasks.linear_attention_teacher import LinearAttentionTeacher
from statewise.tasks.majority import Majority
from statewise.tasks.majority_count import MajorityCount
from statewise.tasks.missing_duplicate import MissingDuplicate
from statewise.tasks.modular_arithmetic import ModularArithmetic
from statewise.tasks.mqar import MQAR
from statewise.tasks.nearest_neighbour import NearestNeighbour
from statewise.tasks.noisy_recall import NoisyRecall
from statewise.tasks.own_rule import require_own_rule
from statewise.tasks.packed_text import PackedText, text_of
from statewise.tasks.parity import Parity
from statewise.tasks.permutations import Permutations
from statewise.tasks.registry import import_task
from statewise.tasks.selective_copying import SelectiveCopying
from statewise.tasks.task import UNSCORED, Batch, Task
from statewise.tasks.text import Text
from statewise.tasks.translation import Translation
from statewise.tasks.vectors import VectorTask

__all__ = [
    "MQAR",
    "TASKS",
    "UNSCORED",
    "AssociativeRecall",
    "Batch",
    "BucketSort",
    "CGramRetrieval",
    "Copy",
    "Counting",
    "CycleNavigation",
    "Disjointness",
    "Dyck",
    "Equality",
    "EvenPairs",
    "FuzzyRecall",
    "InContextRegression",
    "IndexLookup",
    "Induction",
    "IsTree",
    "LinearAttentionTeacher",
    "Majority",
    "MajorityCount",
    "MissingDuplicate",
    "ModularArithmetic",
    "NearestNeighbour",
    "NoisyRecall",
    "PackedText",
    "Parity",
    "Permutations",
    "SelectiveCopying",
    "Task",
    "Text",
    "Translation",
    "VectorTask",
    "configure",
    "from_identity",
    "import_task",
    "require_own_rule",
    "text_of",
]

TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (
        IndexLookup,
        Equality,
        Disjointness,
        NearestNeighbour,
        AssociativeRecall,
        MQAR,
        Induction,
        FuzzyRecall,
        NoisyRecall,
        CGramRetrieval,
        Counting,
        IsTree,
        SelectiveCopying,
        Copy,
        MissingDuplicate,
        BucketSort,
        Majority,
        MajorityCount,
        Dyck,
        Parity,
        EvenPairs,
        CycleNavigation,
        ModularArithmetic,
        Permutations,
        InContextRegression,
        LinearAttentionTeacher,
        Text,
    )
}


STEP_BY_STEP = {
    "chain-of-thought": "statewise.search.traced.ChainOfThought",
    "retrieval": "statewise.search.traced.Retrieval",
}
"""Where tasks that are answered step by step are defined: they need tools, which are above this package."""


def from_identity(identity: dict[str, Any]) -> Task:
    """The task that `Task.identity` describes; a text's digest comes with it, and other contents are refused.

    A task of a user's own has a `class` in it, the dotted path that it is imported from; one that cannot be imported
    is a UsageError. One that is answered step by step has a `task` in it, the identity of what is asked.

    >>> from_identity(IndexLookup(alphabet=4).identity())
    IndexLookup(alphabet=4, queries=1)
    """
    if (path := STEP_BY_STEP.get(str(identity.get("name")))) is not None:
        answered: Task = import_dotted(path, kind="task", base=Task)(from_identity(identity["task"]))
        return answered
    fields = {key: value for key, value in identity.items() if key not in ("name", "class")}
    if identity.get("name") == Translation.name:
        return from_plain(Translation, fields, where="task")
    own = identity.get("class")
    cls = pick("task", str(identity.get("name")), TASKS) if own is None else type(import_task(str(own)))
    return from_plain(cls, fields, where="task")


def configure(task: Task, settings: Sequence[str]) -> Task:
    """The task with some fields set from texts like `alphabet=16`.

    >>> configure(IndexLookup(), ["alphabet=4"])
    IndexLookup(alphabet=4, queries=1)
    """
    fields = to_plain(task) | parse_settings(settings, where=task.name)
    return from_plain(type(task), fields, where=task.name)
