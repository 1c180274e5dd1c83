"""How commands that train run their plans: by whom, how many at a time, or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from statewise.cli.console import console
from statewise.cli.tracking import Tracking
from statewise.cli.watched import EVERY, check_workers, run_watched
from statewise.core.durations import spoken
from statewise.core.errors import UsageError, pick
from statewise.runs import Record, RunStore
from statewise.studies import RunConfig
from statewise.studies.cost import STEPS
from statewise.studies.dry_run import DryRun, dry_run
from statewise.studies.executors import Executor, Local, Ray
from statewise.studies.plan_file import write_plan

EXECUTORS = {"local": "processes of this machine", "ray": "tasks of a Ray cluster"}


@dataclass(frozen=True, kw_only=True)
class Keeping(Tracking):
    """What is kept of a run while it goes on, whoever runs it."""

    keep_memory: bool = True
    """Keep freed memory instead of giving it back to the system: faster steps, a larger process."""
    checkpoint_every: str = EVERY
    """Time between two checkpoints of a run that is going on (90s, 5m): what an interruption costs at most."""


@dataclass(frozen=True, kw_only=True)
class Execution(Keeping):
    """What says how a plan is run, whatever it is about."""

    workers: int | None = None
    """Runs at a time; default one for each core that torch uses or, with --address, as many as the cluster holds."""
    executor: str = "local"
    """local: processes of this machine. ray: tasks of a Ray cluster; needs the extra `ray`."""
    address: str | None = None
    """With --executor ray: HOST:PORT of a cluster's head, or auto. Without it a cluster is started on this machine, and
    ends with the command."""
    cpus_per_run: int | None = None
    """With --executor ray: CPUs that each run asks for, and threads that it computes with; default 1."""
    gpus_per_run: float | None = None
    """With --executor ray: GPUs that each run asks for; 0.5 lets two share one. Default none."""
    dry_run: bool = False
    """Print the runs, what is on disk of them and what the rest is expected to cost, and run nothing."""
    save_plan: Path | None = None
    """With --dry-run: write the plan to this file, for `statewise run`."""

    def check_execution(self, command: str) -> None:
        """Raise a UsageError for what cannot be."""
        check_workers(command, self.workers)
        if self.save_plan is not None and not self.dry_run:
            raise UsageError(f"{command}: save_plan is {self.save_plan}; it goes with --dry-run")
        self.chosen_executor(command)

    def chosen_executor(self, command: str) -> Executor:
        """Whoever runs the plan."""
        pick("executor", self.executor, EXECUTORS)
        if self.executor == "ray":
            cpus = 1 if self.cpus_per_run is None else self.cpus_per_run
            return Ray(address=self.address, cpus=cpus, gpus=self.gpus_per_run or 0.0)
        for name in ("address", "cpus_per_run", "gpus_per_run"):
            if getattr(self, name) is not None:
                raise UsageError(f"{command}: {name} is {getattr(self, name)}, which goes with --executor ray")
        return Local()

    def train(self, plan: list[RunConfig], output: Path, command: str) -> list[Record]:
        """Run a plan with progress shown."""
        return run_watched(
            plan,
            output,
            workers=self.workers,
            keep_memory=self.keep_memory,
            checkpoint_every=self.checkpoint_every,
            sinks=self.makers(),
            executor=self.chosen_executor(command),
        )

    def preview(self, plan: list[RunConfig], output: Path, command: str) -> int:
        """Print what a plan would do instead of doing it; returns the exit status."""
        found = dry_run(plan, RunStore(output), self.chosen_executor(command), workers=self.workers)
        out = console()
        for line in lines_of(found):
            out.print(line, soft_wrap=True)
        if self.save_plan is not None:
            write_plan(plan, self.save_plan)
            out.print(f"Plan: {self.save_plan}; run it with: statewise run {self.save_plan}", soft_wrap=True)
        return 0


def lines_of(found: DryRun) -> Sequence[str]:
    """A line for each run, and the sums."""
    runs = [
        f"{each.run.name}  {each.standing:<11}  {cost_of(each.seconds):>12}  {each.run.title}" for each in found.planned
    ]
    counts = ", ".join(f"{count} {standing}" for standing, count in found.standings.items())
    total = f"{many(len(found.planned), 'run')}: {counts}"
    if found.kinds == 0:
        return [*runs, f"{total}. Nothing is left to run."]
    slots = found.slots
    at_a_time = f"{many(slots.runs, 'run')} at a time on {many(slots.threads, 'thread')} each"
    return [
        *runs,
        total,
        f"Expected: {spoken(found.elapsed)} with {at_a_time}; {spoken(found.work)} of work in all.",
        f"Measured on {STEPS} steps and a batch of each evaluation for {many(found.kinds, 'kind')} of run, on this "
        "machine, one at a time. Runs that are solved early take less; what was interrupted is counted in full; "
        "reading states back, running freely and starting processes come on top.",
    ]


def cost_of(seconds: float | None) -> str:
    """Expected time of a run; a dash where there is none."""
    return "-" if seconds is None else spoken(seconds)


def many(count: int, noun: str) -> str:
    """A count with its noun.

    >>> many(1, "run"), many(2, "run")
    ('1 run', '2 runs')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
