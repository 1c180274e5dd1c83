"""statewise train: one task, one or a few models, one seed; text is sampled at the end."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from tyro.conf import Positional

from statewise.cli.console import console, printable
from statewise.cli.execution import Keeping
from statewise.cli.generate import room_after
from statewise.cli.in_group import in_group
from statewise.cli.watched import run_watched
from statewise.core.durations import spoken
from statewise.models.sampling import Sampling
from statewise.report import render, summarise
from statewise.runs import Record
from statewise.studies import Comparison, SavedRun, load
from statewise.studies.corpus_options import STANDARD_INPUT
from statewise.studies.writing import writer_of
from statewise.training import Group, Parallelism
from statewise.training.carried import require_alone

SAMPLE_LENGTH = 300
SAMPLE_PROMPT = b"\n"


@dataclass(frozen=True, kw_only=True)
class Train(Keeping, Comparison):
    """Train on a task and keep the model; for text, print the loss in nats per byte and a sample."""

    tasks: Positional[tuple[str, ...]]
    """Tasks by name, or of your own by a dotted path, as in `compare`."""
    models: tuple[str, ...] = ("mingru",)
    """Stacks: mixers joined by +, each with an optional count, as in mingru*2+attention. A mixer of your own is a
    dotted path from the working directory or an installed package: my_module.MyMixer."""
    seeds: tuple[int, ...] = (0,)
    """One run for each."""
    output: Path = Path("runs")
    """Folder of run folders."""
    parallel: str = "none"
    """none, ddp or fsdp: one model over the processes that torchrun started, as in torchrun --nproc-per-node 2
    -m statewise train text --parallel fsdp. The batch is that of all of them."""
    accumulation: int = 1
    """Pieces that each process cuts its rows of a batch into, to hold less at once."""
    processes_expected: int | None = None
    """How many processes there must be; any other number is an error."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        asked = Parallelism(kind=self.parallel, accumulation=self.accumulation, processes=self.processes_expected)
        return in_group(asked, self._run)

    def _run(self, group: Group) -> int:
        if self.carry_state:
            require_alone(group, self.precision)
        records = run_watched(
            self.with_input_of_main(group).plan(),
            self.output,
            workers=1,
            keep_memory=self.keep_memory,
            checkpoint_every=self.checkpoint_every,
            sinks=self.makers(),
            group=group,
        )
        if not group.is_main:
            return 0
        out = console()
        out.print(render(summarise(records)))
        for record in records:
            if record.status == "finished":
                self._show(record)
        return 0 if all(record.status == "finished" for record in records) else 1

    def with_input_of_main(self, group: Group) -> "Train":
        """This command with standard input read by the main process, which tells the others where it is kept.

        Processes that torchrun started share one standard input: each would get some of it. Collective.
        """
        if group.count == 1 or STANDARD_INPUT not in self.file:
            return self
        return replace(self, file=tuple(group.shared_object(self.files_named() if group.is_main else None)))

    def _show(self, record: Record) -> None:
        out, folder = console(), self.output / record.name
        cost = record.training
        out.print(
            f"{record.config['model']['stack']}: {record.facts['parameters']:,} parameters, {cost['steps']:,} steps in "
            f"{spoken(cost['seconds'])}, {cost['tokens_per_second']:,.0f} tokens/s in training",
            soft_wrap=True,
        )
        if record.config["task"]["name"] == "text":
            saved = load(folder)
            assert isinstance(saved, SavedRun)
            length = min(SAMPLE_LENGTH, room_after(saved, len(SAMPLE_PROMPT)))
            writer = writer_of(saved, Sampling(), seed=record.config["seed"])
            writer.read([SAMPLE_PROMPT])
            begun = time.perf_counter()
            text = b"".join(writer.write(length)).decode(errors="replace")
            rate = length / (time.perf_counter() - begun)
            out.print(printable(text), markup=False, soft_wrap=True)
            out.print(f"\n{rate:,.0f} tokens/s in generation; continue with:")
            out.print(f'  statewise generate --run {folder} --prompt "ROMEO:"', soft_wrap=True, markup=False)
        else:
            out.print(f"kept in {folder}", soft_wrap=True, markup=False)
