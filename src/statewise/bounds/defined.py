"""Which tasks ask for a number of bits at all: those with a rule on symbols."""

from statewise.core.errors import UsageError
from statewise.tasks import Task


def why_not_in_bits(task: Task) -> str | None:
    """The reason why what a task requires is no number of bits; None where it is one.

    >>> from statewise.tasks import InContextRegression, Parity
    >>> why_not_in_bits(InContextRegression())
    'inputs are real numbers, and prefixes fall into infinitely many classes'
    >>> why_not_in_bits(Parity()) is None
    True
    """
    return {
        "accuracy": None,
        "nats": "no rule says what comes next",
        "squared error": "inputs are real numbers, and prefixes fall into infinitely many classes",
    }[task.measure]


def require_bits(task: Task) -> None:
    """Raise a UsageError that says why, unless what the task requires is a number of bits."""
    reason = why_not_in_bits(task)
    if reason is not None:
        raise UsageError(f"{task.name}: the state that it requires is not defined in bits: {reason}")
