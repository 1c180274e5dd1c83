"""Settings written as text, as on a command line: name=value."""

import ast
from collections.abc import Iterable
from typing import Any

from statewise.core.errors import UsageError


def parse_settings(settings: Iterable[str], *, where: str) -> dict[str, Any]:
    """Names and values; a value that is not a Python literal is a text. A text without `=` is a UsageError.

    >>> parse_settings(["units=12", "form=random"], where="task")
    {'units': 12, 'form': 'random'}
    """
    parsed: dict[str, Any] = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        if not sign:
            raise UsageError(f"{where}: setting {setting!r} is not of the form name=value")
        try:
            parsed[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError):
            parsed[name] = text
    return parsed
