"""Classes named from outside by a dotted path, my_module.MyClass, or with a colon: my_module:MyClass."""

import importlib
from typing import Any

from statewise.core.errors import UsageError, suggestion


def is_dotted(name: str) -> bool:
    """Whether a name is a path to a class and not an entry of a registry.

    >>> is_dotted("my_module:MyTask"), is_dotted("index-lookup")
    (True, False)
    """
    return "." in name or ":" in name


def import_dotted(path: str, *, kind: str, base: type) -> Any:
    """What stands at a path, module first and class last. Whatever fails is a UsageError of one line.

    kind  what is looked for, in the words of the message: model, task
    base  the class that it should derive from, whose subclasses are offered where the name is unknown

    >>> import_dotted("fractions:Fraction", kind="number", base=object)
    <class 'fractions.Fraction'>
    """
    where = f"{kind} {path!r}"
    module_name, _, attribute = path.replace(":", ".").rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        because = " ".join(str(error).split())
        raise UsageError(f"{where}: importing {module_name} failed: {type(error).__name__}: {because}") from error
    if not hasattr(module, attribute):
        known = [name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, base)]
        hint = suggestion(attribute, known) if known else f"; no {base.__name__.lower()} is in it"
        raise UsageError(f"{where}: {module.__file__ or module_name} has no {attribute!r}{hint}")
    return getattr(module, attribute)


def described(cls: object) -> str:
    """A class by its name, anything else by its type, for messages.

    >>> described(dict), described(3)
    ('dict', 'an object of type int')
    """
    return cls.__name__ if isinstance(cls, type) else f"an object of type {type(cls).__name__}"
