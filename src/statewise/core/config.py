"""Configurations: frozen dataclasses with one canonical text, one digest, and no unknown keys."""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from statewise.core.errors import UsageError, suggestion

C = TypeVar("C")

FLOATS = (float, float | None)


def to_plain(config: Any) -> Any:
    """A configuration as dicts, lists and scalars: what JSON can hold, with every field present.

    A whole number in a field of floats becomes one, so that 1 and 1.0 are the same configuration.

    >>> to_plain((1, "a"))
    [1, 'a']
    """
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {f.name: _plain_field(f, getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, dict):
        return {str(key): to_plain(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [to_plain(value) for value in config]
    if config is None or isinstance(config, bool | int | float | str):
        return config
    raise TypeError(f"a configuration holds dataclasses, sequences and scalars, not {type(config).__name__}")


def _plain_field(field: dataclasses.Field[Any], value: Any) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and field.type in FLOATS else to_plain(value)


def canonical(config: Any) -> str:
    """The one text of a configuration: keys sorted, no spaces, floats in Python's shortest form."""
    return json.dumps(to_plain(config), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(config: Any, *, length: int = 16) -> str:
    """The first `length` hex digits of the SHA-256 of the canonical text: a configuration's name.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(canonical(config).encode()).hexdigest()[:length]


def from_plain(cls: type[C], plain: dict[str, Any], *, where: str) -> C:
    """The dataclass that `to_plain` was given.

    A key that `cls` lacks, a missing one and a value of another type are UsageErrors naming `where`.
    """
    if not isinstance(plain, dict):
        raise UsageError(f"{where} is of type {type(plain).__name__}; it must hold the settings of {cls.__name__}")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in plain:
        if key not in fields:
            raise UsageError(f"{where}: {cls.__name__} has no setting {key!r}{suggestion(key, fields)}")
    for name, field in fields.items():
        if name not in plain and field.default is field.default_factory is dataclasses.MISSING:
            raise UsageError(f"{where}: {cls.__name__} needs the setting {name!r}, which is missing")
    return cls(**{key: _restore(hints[key], value, f"{where}.{key}") for key, value in plain.items()})


def from_plain_any(classes: Sequence[type[C]], plain: dict[str, Any], *, where: str) -> C:
    """The same of several dataclasses: the first that has every key of `plain`, or the first of all."""
    keys = set(plain) if isinstance(plain, dict) else set()
    fitting = (cls for cls in classes if keys <= {field.name for field in dataclasses.fields(cls)})  # type: ignore[arg-type]
    return from_plain(next(fitting, classes[0]), plain, where=where)


def _restore(hint: Any, value: Any, where: str) -> Any:
    """`value` with lists made tuples and dicts made dataclasses again, as the annotation says."""
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        choices = [choice for choice in typing.get_args(hint) if choice is not type(None)]
        if len(choices) > 1 and isinstance(value, dict):
            return from_plain_any(choices, value, where=where)
        hint = choices[0]
    if dataclasses.is_dataclass(hint) and not isinstance(value, typing.cast(type[Any], hint)):
        return from_plain(typing.cast(type[Any], hint), value, where=where)
    kind = typing.get_origin(hint) or hint
    if kind is tuple and isinstance(value, list):
        return tuple(_restore(inner, item, where) for inner, item in _paired(typing.get_args(hint), value, where))
    # True is an int to Python, and 3 is a good float.
    allowed = (int, float) if kind is float else kind
    if kind is not Any and (not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool)):
        raise UsageError(f"{where} is {value!r}; it must be of type {kind.__name__}")
    return value


def _paired(inner: tuple[Any, ...], value: list[Any], where: str) -> list[tuple[Any, Any]]:
    """Every item of a list with the annotation that it has in a tuple of any or of a fixed length."""
    each = inner[:1] * len(value) if inner[1:] == (...,) else inner
    if len(each) != len(value):
        raise UsageError(f"{where} has {len(value)} items; it must have {len(each)}")
    return list(zip(each, value, strict=True))
