"""What may be called a task from outside: a class that keeps the contract, at a dotted path."""

import dataclasses
import inspect

from statewise.core.dotted import described, import_dotted
from statewise.core.errors import UsageError
from statewise.tasks.task import Task


def require_task(cls: object, where: str) -> type[Task]:
    """`cls`, or a UsageError that starts with `where` unless it is a Task with nothing left to define."""
    if not (isinstance(cls, type) and issubclass(cls, Task)):
        raise UsageError(f"{where}: {described(cls)} is not a subclass of statewise.tasks.Task")
    missing = sorted(cls.__abstractmethods__) + ([] if hasattr(cls, "name") else ["name"])
    if inspect.isabstract(cls) or missing:
        raise UsageError(f"{where}: {cls.__name__} does not define {', '.join(missing)}")
    if not dataclasses.is_dataclass(cls):
        raise UsageError(f"{where}: {cls.__name__} is not a dataclass; a task's fields are its configuration")
    return cls


def import_task(path: str) -> Task:
    """The task at my_module.MyTask or my_module:MyTask, with its defaults. Whatever fails is a UsageError of one line.

    >>> import_task("statewise.tasks.parity:Parity")
    Parity(every_prefix=True)
    """
    where = f"task {path!r}"
    cls = require_task(import_dotted(path, kind="task", base=Task), where)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if field.default is field.default_factory is dataclasses.MISSING:
            raise UsageError(f"{where}: the field {field.name!r} of {cls.__name__} has no default; give it one")
    return cls()
