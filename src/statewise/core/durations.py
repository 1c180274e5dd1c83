"""Lengths of time as people write them."""

import re

from statewise.core.errors import UsageError

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """Seconds in a text such as 90, 90s, 5m or 1.5h. Anything else, or nothing, is a UsageError.

    >>> seconds_of("5m")
    300.0
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", text.strip())
    if match is None or float(match[1]) == 0:
        raise UsageError(f"time is {text!r}; write a positive number of seconds, or 90s, 5m, 1.5h")
    return float(match[1]) * UNITS[match[2] or "s"]


def spoken(seconds: float) -> str:
    """A length of time in at most two units.

    >>> spoken(7.25), spoken(125), spoken(4000)
    ('7.2 s', '2 min 5 s', '1 h 7 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def leading_seconds(text: str) -> float | None:
    """Seconds in the number and unit, s, min or h, that a text begins with; None where it begins otherwise.

    >>> leading_seconds("2.7 min of CPU time"), leading_seconds("under a second")
    (162.0, None)
    """
    match = re.match(r"([0-9]+(?:\.[0-9]+)?) (s|min|h)\b", text)
    return None if match is None else float(match[1]) * UNITS[match[2][0]]
