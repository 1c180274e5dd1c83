"""statewise bounds: what is proved about a task at a size, and what is counted over every one of its inputs."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from statewise.bounds import Bound, best_accuracy, bounds_of
from statewise.bounds.count_states import (
    CutStates,
    bound_of_profile,
    count_required_bits,
    profile_states,
    worst_cut,
)
from statewise.bounds.defined import why_not_in_bits
from statewise.bounds.listed import sizes_below
from statewise.bounds.of_task import REQUIRED
from statewise.bounds.uniform import UniformStates, bound_of_uniform, uniform_states
from statewise.cli.console import console
from statewise.core.dotted import is_dotted
from statewise.core.errors import UsageError, pick
from statewise.studies import PRESETS
from statewise.tasks import TASKS, Task, configure
from statewise.tasks.registry import import_task


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Print every proven bound for a task: the number, what it holds for, what it assumes, and its source.

    With --cut or --uniform, and for a task of one's own, the states that a reader needs are counted over every input:
    that takes a small size.
    """

    name: Positional[str | None] = None
    """A task of this package, or the class of one's own: my_module.MyTask or my_module:MyTask."""
    named: Annotated[str | None, tyro.conf.arg(name="task")] = None
    """The same, as an option."""
    size: int
    """The task's size: symbols, brackets, bits."""
    state_bits: int | None = None
    """A state's size in bits: adds the best accuracy that it allows, where that is proved."""
    cut: int | Literal["all"] | None = None
    """Count the states needed after this many tokens; all: after each number of tokens, and at smaller sizes."""
    uniform: bool = False
    """Count the states of one reader for every size up to this one, which knows neither size nor position."""
    sample: int | None = None
    """Count from this many examples instead of every input: a lower bound, at any size."""
    settings: tuple[str, ...] = ()
    """Settings of the task as name=value, as in alphabet=16; default those of `compare`, or one's own."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        task = configure(self._task(), self.settings)
        task.check_size(self.size)
        if self.uniform and (self.cut is not None or self.sample is not None):
            raise UsageError(
                "bounds: uniform counts at every length at once, over every input; it takes no cut or sample"
            )
        sections = [list(lines) for lines in self._sections(task)]
        out = console()
        settings = ", ".join(f"{key} {value}" for key, value in task.identity().items() if key != "name")
        out.print(f"{task.name}{f' ({settings})' if settings else ''} at size {self.size}", soft_wrap=True)
        for lines in sections:
            out.print()
            for line in lines:
                out.print(f"  {line}", soft_wrap=True, markup=False)
        return 0

    def _task(self) -> Task:
        given = [name for name in (self.name, self.named) if name is not None]
        if len(given) != 1:
            raise UsageError(f"bounds: {'two tasks are' if given else 'no task is'} named; name one")
        if is_dotted(given[0]):
            return import_task(given[0])
        known = pick("task", given[0], TASKS)
        return PRESETS[known.name].task if known.name in PRESETS else known()

    def _sections(self, task: Task) -> Iterator[Iterator[str]]:
        """Blocks of lines: the closed forms, then what is counted."""
        undefined = why_not_in_bits(task)
        if undefined is not None:
            yield iter([f"required state: not defined in bits; {undefined}"])
        closed = type(task) in REQUIRED or undefined is not None
        if closed:
            found = bounds_of(task, self.size)
            limit = None if self.state_bits is None else best_accuracy(task, self.size, self.state_bits)
            yield from (lines_of(bound) for bound in (found if limit is None else [*found, limit]))
        if self.uniform:
            sizes = [*sizes_below(task, self.size), self.size]
            grown = {size: uniform_states(task, size) for size in sizes}
            yield lines_of(bound_of_uniform(grown[self.size]))
            yield growth(grown, "one reader for every size up to it")
        elif self.cut == "all":
            profile = profile_states(task, self.size, sample=self.sample)
            yield lines_of(bound_of_profile(profile))
            yield cuts(profile)
            if self.sample is None:
                smaller = {size: worst_cut(profile_states(task, size)) for size in sizes_below(task, self.size)}
                yield growth({**smaller, self.size: worst_cut(profile)}, "the cut that needs most")
        elif not closed or self.cut is not None or self.sample is not None:
            yield lines_of(count_required_bits(task, self.size, cut=self.cut, sample=self.sample))


def lines_of(bound: Bound) -> Iterator[str]:
    """A bound as a claim and what belongs to it."""
    yield bound.claim
    for label, text in (
        ("error", bound.error),
        ("holds for", bound.holds_for),
        ("assumes", bound.assumes),
        ("source", bound.source),
    ):
        yield f"  {label:<10}{text}"


def cuts(profile: tuple[CutStates, ...]) -> Iterator[str]:
    """The profile over cuts: how many tokens were read, the states needed then, their bits, the prefixes counted."""
    yield f"{'after':>7}  {'states':<20}{'bits':<20}prefixes"
    for states in profile:
        yield f"{states.cut:>7}  {states.shown:<20}{bits(states):<20}{states.prefixes:,}"
    if not all(states.total for states in profile):
        yield "prefixes differ in what may follow them or is asked then: each row is about its cut alone"


def growth(grown: Mapping[int, CutStates | UniformStates], whose: str) -> Iterator[str]:
    """The states at each size, ascending."""
    yield f"{'size':>7}  {'states':<20}{'bits':<20}({whose})"
    for size, states in grown.items():
        yield f"{size:>7}  {states.shown:<20}{bits(states)}"


def bits(states: CutStates | UniformStates) -> str:
    """log2 of the states to three decimals, rounded outwards: one number, an interval, or a lower bound.

    >>> bits(CutStates(cut=4, at_least=4, at_most=5, prefixes=24, total=False))
    '[2, 2.322]'
    """
    low = _three_decimals(math.floor(1000 * math.log2(states.at_least)))
    if states.at_most is None:
        return f"at least {low}"
    return low if states.exact else f"[{low}, {_three_decimals(math.ceil(1000 * math.log2(states.at_most)))}]"


def _three_decimals(thousandths: int) -> str:
    return f"{thousandths / 1000:.3f}".rstrip("0").rstrip(".")
