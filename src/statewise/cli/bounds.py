"""statewise bounds: what is proved about a task at a size."""

from dataclasses import dataclass

from tyro.conf import Positional

from statewise.bounds import best_accuracy, bounds_of
from statewise.cli.console import console
from statewise.core.errors import pick
from statewise.studies import PRESETS
from statewise.tasks import TASKS, configure


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Print every proven bound for a task: the number, what it holds for, what it assumes, and its source."""

    task: Positional[str]
    """index-lookup, dyck or parity."""
    size: int
    """The task's size: symbols, brackets, bits."""
    state_bits: int | None = None
    """A state's size in bits: adds the best accuracy that it allows, where that is proved."""
    settings: tuple[str, ...] = ()
    """Settings of the task as name=value, as in alphabet=16; default those of `compare`."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        name = pick("task", self.task, TASKS).name
        task = configure(PRESETS[name].task, self.settings)
        task.check_size(self.size)
        found = bounds_of(task, self.size)
        if self.state_bits is not None:
            limit = best_accuracy(task, self.size, self.state_bits)
            found += [] if limit is None else [limit]
        out = console()
        settings = ", ".join(f"{key} {value}" for key, value in task.identity().items() if key != "name")
        out.print(f"{name} ({settings}) at size {self.size}", soft_wrap=True)
        for bound in found:
            out.print(f"\n  {bound.claim}", soft_wrap=True, markup=False)
            for label, text in (
                ("error", bound.error),
                ("holds for", bound.holds_for),
                ("assumes", bound.assumes),
                ("source", bound.source),
            ):
                out.print(f"    {label:<10}{text}", soft_wrap=True, markup=False)
        return 0
