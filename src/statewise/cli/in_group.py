"""A command in the processes that a launcher started: an error of one ends all, and is said once."""

from collections.abc import Callable

from statewise.core.errors import UsageError
from statewise.training import Group, Parallelism, join
from statewise.training.group import started_processes, wait_to_be_ended


def in_group(parallelism: Parallelism, work: Callable[[Group], int]) -> int:
    """The exit status of `work`. What goes wrong is raised by the process that is to say it; the others just end.

    A launcher ends all processes when one has ended with an error.
    """
    joined = False
    try:
        with join(parallelism) as group:
            joined = True
            return work_or_fail(group, work)
    except UsageError:
        # What the launcher started is not what was asked for: every process finds that alike.
        if not joined and started_processes()[0] > 0:
            wait_to_be_ended()
            raise SystemExit(2) from None
        raise


def work_or_fail(group: Group, work: Callable[[Group], int]) -> int:
    """`work`, or its error where this process is the first to have one."""
    try:
        return work(group)
    except Exception as error:
        if group.fail(error):
            raise
        wait_to_be_ended()
        raise SystemExit(1) from None
