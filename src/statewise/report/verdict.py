"""The verdict on a model at a size: what was seen, and what a proof adds to it.

solved                      every seed reaches the threshold on the test split
solved by k of n seeds      some do
cannot (proof)              a bound on average accuracy puts the threshold above what the state allows
cannot be always right (proof)
                            the state is below what zero error requires; below 100 % it may do well
has room, did not learn     nothing proved stands in the way
did not learn, no bound is proved
                            a task of a user's own: what it requires is not known
not right as written        weights that were written down, and noise on them
untested                    no run gave a number
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from statewise.bounds import Bound, best_accuracy, limit_at_all_lengths, required_bits
from statewise.bounds.of_task import REQUIRED
from statewise.tasks import Task

SOLVED_AT = 0.99
"""Sequence accuracy from which a model counts as having solved a size."""


@dataclass(frozen=True)
class Verdict:
    """`kind` is one of solved, partly, cannot, not-always, has-room, no-bound, untrained, no-rule,
    untested; `text` is for people.

    source            where the proof is that `text` speaks of: theorem or argument; empty where it speaks of none
    never_everywhere  a proof says that this kind of stack is not right at all lengths, whatever it learns here
    """

    kind: str
    text: str
    source: str = ""
    never_everywhere: bool = False


UNTESTED = Verdict("untested", "untested")


def judge(
    task: Task,
    size: int,
    *,
    accuracies: Sequence[float],
    state_bits: int,
    non_negative_decay: bool,
    positions: str,
    trained: bool = True,
) -> Verdict:
    """The verdict from the sequence accuracy of every seed and the bits of state at the cut.

    accuracies  one for each seed; 0 for one that diverged
    state_bits  carried at the cut, without position counters, which say nothing about what was read
    trained     false for weights that were written down and left so
    positions   how the stack as a whole knows places; none where rope has no attention layer to act in
    """
    if task.measure != "accuracy":
        return Verdict("no-rule", "no rule: compare the loss")
    solved = sum(accuracy >= SOLVED_AT for accuracy in accuracies)
    if solved == len(accuracies):
        return Verdict("solved", "solved")
    if solved:
        return Verdict("partly", f"solved by {solved} of {len(accuracies)} seeds")

    limit = best_accuracy(task, size, state_bits)
    if limit is not None and limit.value < SOLVED_AT:
        return Verdict("cannot", f"cannot (proof): at most {limit_of(limit.value)} of answers right", limit.source)
    if not trained:
        return Verdict("untrained", "not right as written")
    required = requirement(task, size)
    if required is None:
        return Verdict("no-bound", "did not learn, no bound is proved")
    if state_bits < required.value:
        if limit is None:
            return Verdict("not-always", "cannot be always right (proof)", required.source)
        text = f"cannot be always right (proof); accuracy up to {limit_of(limit.value)} possible"
        return Verdict("not-always", text, f"{required.source}; the accuracy: {limit.source}")
    everywhere = limit_at_all_lengths(task, non_negative_decay=non_negative_decay, positions=positions)
    if everywhere is not None:
        text = "has room, did not learn; cannot at all lengths (proof)"
        return Verdict("has-room", text, everywhere.source, never_everywhere=True)
    return Verdict("has-room", "has room, did not learn")


def requirement(task: Task, size: int) -> Bound | None:
    """The bits that a reader which is always right must hold; None where no closed form is proved for the task.

    A class derived from a task of this package may have another rule, so it inherits no bound.
    """
    return required_bits(task, size) if task.measure == "accuracy" and type(task) in REQUIRED else None


def limit_of(share: float) -> str:
    """An upper limit in percent with one decimal, rounded up so that it stays one.

    >>> limit_of(0.78551), limit_of(0.9996)
    ('78.6 %', 'just under 100 %')
    """
    tenths = math.ceil(1000 * share)
    return "just under 100 %" if tenths >= 1000 else f"{tenths / 10:.1f} %"


def percent(share: float) -> str:
    """A share of one with one decimal, never rounded up to 100 %.

    >>> percent(0.5), percent(0.99999), percent(1.0)
    ('50.0 %', '99.9 %', '100 %')
    """
    if share >= 1:
        return "100 %"
    return f"{min(share, 0.999):.1%}".replace("%", " %")
