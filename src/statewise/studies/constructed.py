"""Runs that start from weights that were written down: measured as they are, or trained on."""

import inspect
from dataclasses import fields
from typing import Any

from statewise.constructions import CONSTRUCTIONS, Construction, build
from statewise.core.errors import UsageError, pick
from statewise.search import Traced
from statewise.studies.run_config import Initial
from statewise.tasks import Task

PREFIX = "construction:"


def arguments_for(name: str, task: Task, size: int) -> dict[str, Any]:
    """What to call a construction's builder with for a task: the size, and those fields of the task that it takes."""
    taken = inspect.signature(CONSTRUCTIONS[name]).parameters
    asked: Any = task.task if isinstance(task, Traced) else task
    settings = {field.name: getattr(asked, field.name) for field in fields(asked) if field.name in taken}
    return {"size": size, **settings}


def construction_for(name: str, task: Task, size: int) -> Construction | None:
    """A construction for sizes of this task up to one; None where it is of another task, or cannot be had."""
    # The others need not be built to be left out: some take gigabytes at the sizes of a task that asks less.
    if not task.title.startswith(name.partition("/")[0]):
        return None
    try:
        construction = build(name, **arguments_for(name, task, size))
    except UsageError:
        return None
    return construction if construction.task == task else None


def constructions_for(task: Task, sizes: tuple[int, ...]) -> list[tuple[Construction, tuple[int, ...]]]:
    """Every construction that solves a task, each with the sizes to ask it: all, or the one that it is for."""
    found = []
    for name in CONSTRUCTIONS:
        largest = construction_for(name, task, max(sizes))
        if largest is None:
            continue
        if largest.sizes[0] <= min(sizes):
            found.append((largest, sizes))
        else:
            alone = ((construction_for(name, task, size), (size,)) for size in sizes)
            found += [(construction, asked) for construction, asked in alone if construction is not None]
    return found


def initial_of(text: str, task: Task, size: int, *, rounding: str | None, noise: float) -> Initial:
    """What `--init construction:NAME` means for a task. What cannot be is a UsageError."""
    if not text.startswith(PREFIX):
        raise UsageError(f"init is {text!r}; it must be {PREFIX}NAME, as in {PREFIX}index-lookup/attention")
    name = text.removeprefix(PREFIX)
    pick("construction", name, CONSTRUCTIONS)
    arguments = arguments_for(name, task, size)
    construction = build(name, **arguments)
    if construction.task != task:
        raise UsageError(f"init: {name} solves {construction.task}, not {task}")
    return Initial(construction=name, arguments=arguments, rounding=rounding, noise=noise)
