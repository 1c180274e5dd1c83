"""statewise capacity: how many bits of a random string can be read back out of a trained model's state."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from statewise.capacity import check_strings
from statewise.cli.capacity_hf import read_pretrained
from statewise.cli.console import console
from statewise.cli.construct import markers
from statewise.cli.execution import Execution
from statewise.cli.watched import check_page, status_of
from statewise.core.errors import UsageError
from statewise.report import render_capacity, saturation, summarise, write_page
from statewise.report.table import missing_line
from statewise.studies import Comparison, RunConfig
from statewise.tasks import IndexLookup

MARKER_SIZE = 16
"""At which constructions stand in the figure."""


@dataclass(frozen=True, kw_only=True)
class Capacity(Execution):
    """Train models to look symbols up in a string, and count what their states give back.

    The figure has every construction as a numbered ring: what its state is made of, and what its task requires.

    Each seed is trained on every size; strings to measure on are drawn apart from training, validation and test.
    """

    hf: Path | None = None
    """A folder of Hugging Face with a pretrained model: nothing is trained, and its state, or cache, is asked for the
    values of keys that stood in the prompt. Nothing is downloaded. Needs the extra `hf`."""
    models: tuple[str, ...] = ("attention", "mingru", "gru")
    """Stacks, as in `compare`."""
    alphabet: int = 16
    """Symbols, at least 2: a string of n has n · log2(alphabet) bits."""
    sizes: tuple[int, ...] = (8, 16, 32)
    """Lengths of the strings."""
    strings: int | Literal["all"] = 256
    """Random strings to read back at each size, or all: exact, and possible up to alphabet^size = 65,536. A number that
    reaches alphabet^size is all, too."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One run for each; three or more give an interval."""
    steps: int | None = None
    """Training budget in optimiser steps; default that of `compare`."""
    time: str | None = None
    """Training budget in wall time instead (90s, 5m, 1h)."""
    width: int | None = None
    """Channels between blocks."""
    depth: int | None = None
    """How many times each stack is repeated."""
    learning_rates: tuple[float, ...] | None = None
    """Peak learning rates to try, as in `compare`."""
    output: Path = Path("runs")
    """Folder of run folders; the report goes to capacity.html in it."""
    page: bool = True
    """Write capacity.html and the PNGs of its figures; needs the extra `report`."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        if self.hf is not None:
            return self.of_pretrained(self.hf)
        self.check_execution("capacity")
        plan = self.plan()
        if self.dry_run:
            return self.preview(plan, self.output, "capacity")
        if self.page:
            check_page()
        records = self.train(plan, self.output, "capacity")
        summary = summarise(records)
        out = console()
        out.print(f"strings of {self.alphabet} symbols, read back out of the state after the last one\n")
        out.print(render_capacity(summary))
        out.print(missing_line(summary))
        if self.page:
            page = write_page(summary, self.output, name="capacity", markers=list(markers(MARKER_SIZE)))
            out.print(f"Report: {page}\n", soft_wrap=True)
        for line in saturation(summary):
            out.print(f"  {line}", soft_wrap=True)
        out.print(
            "  At least: a limit that holds for all sizes of a seed together with 95 % confidence over strings "
            "(empirical Bernstein, Bonferroni); the lowest of the seeds. Exact: every string was read, so the number "
            "is the expectation itself.",
            soft_wrap=True,
        )
        return status_of(records)

    def of_pretrained(self, folder: Path) -> int:
        """Measure a pretrained model; returns the exit status."""
        for name in ("steps", "time", "width", "depth", "learning_rates"):
            if getattr(self, name) is not None:
                raise UsageError(f"capacity: {name} is {getattr(self, name)}, and with --hf nothing is trained")
        strings = None if self.strings == "all" else self.strings
        return read_pretrained(folder, alphabet=self.alphabet, sizes=self.sizes, strings=strings, seeds=self.seeds)

    def plan(self) -> list[RunConfig]:
        """The runs, with the strings that are read back after training."""
        plan = self.comparison().plan()
        strings = None if self.strings == "all" else self.strings
        for size in self.sizes:
            check_strings(IndexLookup(alphabet=self.alphabet), size, strings)
        return [replace(run, evaluation=replace(run.evaluation, strings=strings)) for run in plan]

    def comparison(self) -> Comparison:
        """The runs of `compare` that this asks for."""
        return Comparison(
            tasks=("index-lookup",),
            models=self.models,
            sizes=self.sizes,
            seeds=self.seeds,
            steps=self.steps,
            time=self.time,
            width=self.width,
            depth=self.depth,
            learning_rates=self.learning_rates,
            settings=(f"alphabet={self.alphabet}",),
        )
