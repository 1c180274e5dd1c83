"""Progress of runs: bars on a terminal, one line for each evaluation elsewhere."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from statewise.core.durations import spoken
from statewise.core.events import Evaluated, Event, Noted
from statewise.core.events import Progress as Step
from statewise.runs import Record
from statewise.studies import RunConfig


def watch(count: int) -> "Bars | Lines":
    """Bars where standard error is a terminal, else lines; a context manager for `count` runs."""
    return Bars(count) if sys.stderr.isatty() else Lines(count)


def outcome(record: Record, *, skipped: bool) -> str:
    """How a run ended, in a few words."""
    if skipped:
        return f"{record.status} earlier, kept"
    if record.status != "finished":
        return f"{record.status}: {record.because}"
    return f"finished in {spoken(record.training['seconds'])}: {record.because}"


class Lines:
    """One line for each evaluation and each end of a run, on standard error."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.done = 0

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to put away."""

    def begin(self, run: RunConfig) -> None:
        """Silent: the first evaluation says that it goes on."""

    def event(self, run: RunConfig, event: Event) -> None:
        """Print evaluations and notes; training's own pulse is for bars."""
        if isinstance(event, Evaluated):
            accuracy = "" if event.token_accuracy is None else f"token accuracy {event.token_accuracy:.1%} · "
            self.note(
                f"{run.title} · step {event.step} · size {event.size} · loss {event.loss:.3f} · {accuracy}"
                f"{spoken(event.seconds)}"
            )
        elif isinstance(event, Noted):
            self.note(f"{run.title} · {event.text}")

    def end(self, run: RunConfig, record: Record, *, skipped: bool) -> None:
        """Print how the run ended."""
        self.done += 1
        self.note(f"[{self.done}/{self.count}] {run.title} · {outcome(record, skipped=skipped)}")

    def note(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)


class Bars:
    """One bar for each run that is going on, and one for all of them."""

    def __init__(self, count: int) -> None:
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[say]}"),
            console=Console(stderr=True, highlight=False, emoji=False),
            transient=True,
        )
        self.all = self.bars.add_task("all runs", total=count, say=f"0 of {count} runs")
        self.of_run: dict[str, TaskID] = {}
        self.count = count
        self.done = 0

    def __enter__(self) -> "Bars":
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def begin(self, run: RunConfig) -> None:
        """Add a bar."""
        self.of_run[run.name] = self.bars.add_task(run.title, total=1.0, say="starting")

    def event(self, run: RunConfig, event: Event) -> None:
        """Move the bar, and say rate, loss and time left; print notes."""
        if isinstance(event, Step):
            say = f"loss {event.loss:.3f} · {event.tokens_per_second:,.0f} tokens/s · {spoken(event.seconds_left)} left"
            self.bars.update(self.of_run[run.name], completed=event.fraction, say=say)
        elif isinstance(event, Noted):
            self.note(f"{run.title} · {event.text}")

    def end(self, run: RunConfig, record: Record, *, skipped: bool) -> None:
        """Take the bar away and print how the run ended."""
        self.done += 1
        if run.name in self.of_run:
            self.bars.remove_task(self.of_run.pop(run.name))
        self.bars.update(self.all, completed=self.done, say=f"{self.done} of {self.count} runs")
        self.note(f"{run.title} · {outcome(record, skipped=skipped)}")

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self.bars.console.print(text, markup=False)
