"""What may be called a mixer from outside: a name that is free, a class that keeps the contract, a path to one."""

import inspect
import re
from collections.abc import Container

from statewise.core.dotted import described, import_dotted
from statewise.core.errors import UsageError
from statewise.mixers.mixer import Mixer

NAME = re.compile(r"[a-z][a-z0-9-]*")
FACTS = ("recurrent", "non_negative_decay")


def require_free_name(name: str, taken: Container[str]) -> None:
    """Raise a UsageError unless `name` can stand in a stack and means nothing yet."""
    if NAME.fullmatch(name) is None:
        raise UsageError(
            f"register: {name!r} is no name for a mixer; write small letters, digits and -, a letter first"
        )
    if name in taken:
        raise UsageError(f"register: the name {name!r} is taken; choose another")


def require_mixer(cls: object, where: str) -> type[Mixer]:
    """`cls`, or a UsageError that starts with `where` unless it is a Mixer with nothing left to define."""
    if not (isinstance(cls, type) and issubclass(cls, Mixer)):
        raise UsageError(f"{where}: {described(cls)} is not a subclass of statewise.mixers.Mixer")
    missing = [*sorted(cls.__abstractmethods__), *(fact for fact in FACTS if not hasattr(cls, fact))]
    if inspect.isabstract(cls) or missing:
        raise UsageError(f"{where}: {cls.__name__} does not define {', '.join(missing)}")
    return cls


def import_mixer(path: str) -> type[Mixer]:
    """The mixer at a dotted path, module first and class last. Whatever fails is a UsageError of one line."""
    return require_mixer(import_dotted(path, kind="model", base=Mixer), f"model {path!r}")
