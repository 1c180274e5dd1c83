"""States that a reader needs, counted over every input of a task: any task with `inputs` and `valid`.

After t tokens two prefixes *conflict* when a continuation that both admit must be answered differently at a scored
position after t. A reader must hold them apart, so at that cut it needs as many states as the graph of conflicts needs
colours. Where every continuation is valid after every prefix (a total task) that is the number of Myhill-Nerode
classes, and the classes of all cuts form one reader. Elsewhere colourings of different cuts need not fit together: the
largest of them is a lower bound for a reader and nothing more.

Size and position are known to the reader, and an answer may use the token that was just read besides the state before
it: `statewise.bounds.uniform` counts for readers that know neither.
"""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from statewise.bounds.bound import Bound, whole
from statewise.bounds.colouring import Colours, count_colours, large_clique, neighbour_sets
from statewise.bounds.conflicts import Conflicts, conflicts_before
from statewise.bounds.futures import Futures, futures_of
from statewise.bounds.listed import every_input, sampled_inputs
from statewise.core.errors import UsageError
from statewise.tasks import Task


def states_shown(at_least: int, at_most: int | None) -> str:
    """`81 exact`, `[4, 5]` or, where nothing is known from above, `at least 64`.

    >>> states_shown(4, 5)
    '[4, 5]'
    """
    if at_most is None:
        return f"at least {at_least:,}"
    return f"{at_least:,} exact" if at_least == at_most else f"[{at_least:,}, {at_most:,}]"


class CutStates(NamedTuple):
    """How many states a reader needs after `cut` tokens: at least, and at most for this cut alone.

    at_most   None where the prefixes are a sample
    prefixes  how many were counted over
    total     whether every continuation is valid after every prefix, and scored at the same positions
    """

    cut: int
    at_least: int
    at_most: int | None
    prefixes: int
    total: bool

    @property
    def exact(self) -> bool:
        """Whether the two numbers meet."""
        return self.at_least == self.at_most

    @property
    def shown(self) -> str:
        """`81 exact`, `[4, 5]` or `at least 64`."""
        return states_shown(self.at_least, self.at_most)


def profile_states(task: Task, size: int, *, sample: int | None = None) -> tuple[CutStates, ...]:
    """The states that every cut needs, from 0 tokens read to all T of them.

    size    of the task; a UsageError where its inputs are more than 2^16
    sample  instead of all inputs, take this many examples, each prefix crossed with 64 continuations: then only a
            lower bound is counted, at any size

    A task without a rule, one whose `solve` disagrees with its own targets, and targets that depend on later tokens
    are UsageErrors. Work: the square of the number of distinct futures at a cut, for each token; cuts with more than
    4,096 of them are bounded without writing their conflicts out.

    >>> from statewise.tasks import Parity
    >>> [states.shown for states in profile_states(Parity(), size=3)]
    ['1 exact', '2 exact', '2 exact', '1 exact']
    """
    if sample is not None:
        return tuple(_from_sample(task, size, cut, sample) for cut in range(task.length(size) + 1))
    futures = _listed_futures(task, size)
    from_the_end = [_counted(futures, cut, conflicts) for cut, conflicts in _cuts(futures)]
    return tuple(reversed(from_the_end))


def states_at(task: Task, size: int, cut: int, *, sample: int | None = None) -> CutStates:
    """The states that one cut needs; options and errors as `profile_states`.

    cut  tokens read, in 0 … length(size) (UsageError otherwise)

    >>> from statewise.tasks import IndexLookup
    >>> states_at(IndexLookup(alphabet=3), size=4, cut=4)
    CutStates(cut=4, at_least=81, at_most=81, prefixes=81, total=True)
    """
    task.check_size(size)
    cut = whole("states_at", "cut", cut, least=0)
    if cut > task.length(size):
        raise UsageError(
            f"states_at: cut is {cut}; an input of {task.name} of size {size} has {task.length(size)} tokens"
        )
    if sample is not None:
        return _from_sample(task, size, cut, sample)
    futures = _listed_futures(task, size)
    conflicts = next(conflicts for t, conflicts in _cuts(futures) if t == cut)
    return _counted(futures, cut, conflicts)


def count_required_bits(
    task: Task, size: int, *, cut: int | Literal["all"] | None = None, sample: int | None = None
) -> Bound:
    """Bits of state that any recurrent reader needs to be right on every input of this size, counted.

    cut     after how many tokens; None is `task.cut(size)`; "all" is the cut that needs most
    sample  as `profile_states`

    The value is log2 of the states that are needed at least; `holds_for` says whether it is exact for the cut.
    Errors as `profile_states`.

    >>> from statewise.tasks import Dyck
    >>> 2 ** count_required_bits(Dyck(types=1, depth=2), size=8, cut="all").value
    3.0
    """
    if cut == "all":
        return bound_of_profile(profile_states(task, size, sample=sample))
    return _bound(states_at(task, size, task.cut(size) if cut is None else cut, sample=sample), reached=False)


def bound_of_profile(profile: tuple[CutStates, ...]) -> Bound:
    """The bits that a profile requires: those of the cut that needs most.

    >>> from statewise.tasks import Parity
    >>> bound_of_profile(profile_states(Parity(), size=4)).claim
    'bits: at least 1'
    """
    return _bound(worst_cut(profile), reached=all(states.total for states in profile))


def worst_cut(profile: tuple[CutStates, ...]) -> CutStates:
    """The cut that needs the most states; where several do, the one with the most possible, then the first."""
    return max(profile, key=lambda states: (states.at_least, states.at_most or 0))


def _bound(needed: CutStates, *, reached: bool) -> Bound:
    return Bound(
        value=math.log2(needed.at_least),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for=f"any deterministic recurrent reader of this size; {_how_tight(needed, reached=reached)}",
        assumes="size and position are known to the reader; an answer may use the token just read",
        source=_how_counted(needed),
    )


def _how_tight(needed: CutStates, *, reached: bool) -> str:
    if needed.at_most is None:
        return "from a sample, so more may be needed"
    if reached:
        return "exact: the classes of all cuts form one reader"
    if needed.exact:
        return f"exact for the cut after {_tokens(needed.cut)}, {needed.at_least:,} states" + (
            "" if needed.total else "; one reader for all cuts may need more"
        )
    return f"the cut after {_tokens(needed.cut)} needs between {needed.at_least:,} and {needed.at_most:,} states"


def _how_counted(needed: CutStates) -> str:
    classes = "Myhill-Nerode classes" if needed.total else "colours of the graph of conflicts"
    sampled = "sampled " if needed.at_most is None else ""
    return f"counted over {needed.prefixes:,} {sampled}prefixes of {_tokens(needed.cut)}: {classes}"


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{count} tokens"


def _listed_futures(task: Task, size: int) -> Futures:
    tokens, targets = every_input(task, size)
    return futures_of(tokens, targets, name=task.name)


def _cuts(futures: Futures) -> Iterator[tuple[int, Conflicts]]:
    """Every cut with its conflicts, from the end to the start."""
    conflicts = None
    for t in reversed(range(len(futures.at))):
        conflicts = conflicts_before(futures, t, conflicts)
        yield t, conflicts


def _counted(futures: Futures, cut: int, conflicts: Conflicts) -> CutStates:
    total = conflicts.matrix is None and conflicts.whole
    at_least, at_most = _colours(futures, conflicts)
    return CutStates(cut, at_least, at_most, len(futures.at[cut]), total)


def _colours(futures: Futures, conflicts: Conflicts) -> Colours:
    """Bounds on the states of a cut; one for each future is always enough."""
    count = len(conflicts.futures)
    if conflicts.matrix is None:
        domains = np.array(futures.domains)[conflicts.futures]
        return Colours(int(np.unique(domains, return_counts=True)[1].max()), count)
    if not conflicts.whole:
        return Colours(len(large_clique(neighbour_sets(conflicts.matrix))), count)
    return count_colours(conflicts.matrix)


def _from_sample(task: Task, size: int, cut: int, sample: int) -> CutStates:
    sample = whole("count_required_bits", "sample", sample, least=1)
    tokens, targets = sampled_inputs(task, size, cut, sample)
    futures = futures_of(tokens, targets, name=task.name)
    conflicts = next(conflicts for t, conflicts in _cuts(futures) if t == cut)
    at_least = _colours(futures, conflicts).at_least
    return CutStates(cut, at_least, None, len(futures.at[cut]), total=False)
