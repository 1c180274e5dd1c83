"""statewise bench: what a token costs at every position, beside transformers on the same machine."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import torch
import tyro

from statewise.cli.bench_table import Cell, Timed, findings, notes, table_of
from statewise.cli.console import console
from statewise.cli.doctor import other_load
from statewise.core.errors import UsageError
from statewise.studies.decode.contenders import OURS, Contender, contenders_of
from statewise.studies.decode.decoder import state_bytes_at
from statewise.studies.measurement import Measurement, in_a_process, machine
from statewise.studies.threads import threads

MEBIBYTE = 2**20


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Tokens per second, time to the first token, memory and bytes of state, by position and batch.

    Models have random weights and equal numbers of parameters; nothing is downloaded or written. Beside them stand
    transformers' own Mamba and Llama of the same sizes, where the extra `hf` is installed. A few minutes on 2 cores.
    """

    what: tyro.conf.Positional[Literal["decode"]]
    """What to measure."""
    models: tuple[str, ...] = ("mingru*4", "mamba*8", "mingru*3+attention", "attention*4")
    """Stacks to measure."""
    parameters: int = 1_000_000
    """Of each model, as near as a width comes."""
    positions: tuple[int, ...] = (64, 1024, 4096, 16_384, 65_536)
    """Tokens before the one that is timed."""
    batches: tuple[int, ...] = (1, 16, 64)
    """Sequences at once."""
    rounds: int = 7
    """Times that each model at each position is visited, in turns; medians are over these."""
    memory: int = 512
    """MiB that the state of a batch may have; what would need more is left out, and says so."""
    read: int = 65_536
    """Most tokens, of all sequences together, that a recurrent model of ours reads as a context."""
    read_slowly: int = 8192
    """The same of models with attention, whose reading grows with the square, and of transformers' models."""
    transformers: bool = True
    """Measure transformers' Mamba and Llama too, where they are installed."""
    threads: int | None = None
    """Threads of torch. Default as many as torch takes."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        self._check()
        theirs = self.transformers and find_spec("transformers") is not None
        contenders = contenders_of(self.models, self.parameters, transformers=theirs)
        if (busy := other_load()) is not None:
            print(f"warning: {busy}", file=sys.stderr)
        out = console()
        with threads(self.threads or torch.get_num_threads()):
            out.print(", ".join(f"{key} {value}" for key, value in machine().items()), soft_wrap=True)
            timed = [self._measured(contenders, batch) for batch in self.batches]
        out.print(table_of(timed))
        for line in (*findings(timed), "", *notes(timed, absent=self.transformers and not theirs)):
            out.print(line, soft_wrap=True)
        return 0

    def _check(self) -> None:
        """Raise a UsageError for what cannot be measured."""
        for name in ("positions", "batches"):
            given = getattr(self, name)
            if not given or min(given) < 1 or len(set(given)) < len(given):
                raise UsageError(f"bench decode: {name} is {given}; it needs numbers of at least 1, each once")
        for name in ("parameters", "rounds", "memory", "read", "read_slowly", "threads"):
            given = getattr(self, name)
            if given is not None and given < 1:
                raise UsageError(f"bench decode: {name} is {given}; it must be at least 1")

    def _limit(self, contender: Contender) -> int:
        """Most tokens that it reads."""
        fast = contender.architecture == OURS and contender.kind == "recurrent"
        return self.read if fast else min(self.read, self.read_slowly)

    def _measured(self, contenders: Sequence[Contender], batch: int) -> Timed:
        """Everything about one batch."""
        cells = list(self._cells(contenders, batch))
        kept = [(cell.contender, cell.position, self._limit(cell.contender)) for cell in cells if cell.skipped is None]
        if not kept:
            return Timed(batch=batch, cells=cells, rounds={})
        tell(f"batch {batch}: timing {len(kept)} cells in turns")
        found = measured("time_batch", batch=batch, cells=kept, rounds=self.rounds)
        return Timed(batch=batch, cells=cells, rounds=found["rounds"], generated=found["generated"])

    def _cells(self, contenders: Sequence[Contender], batch: int) -> Iterator[Cell]:
        """Every model at every position, weighed, or left out with the reason."""
        for contender in contenders:
            needed = {at: batch * state_bytes_at(contender.config, at) for at in sorted(self.positions)}
            kept = [at for at, size in needed.items() if size <= self.memory * MEBIBYTE]
            if kept:
                tell(f"batch {batch}: reading with {contender.label}")
                limit = self._limit(contender)
                found = measured("weigh_model", contender=contender, batch=batch, positions=kept, limit=limit)
                yield from (
                    Cell(contender=contender, position=at, **each)
                    for at, each in zip(kept, found["cells"], strict=True)
                )
            for at in (at for at in needed if at not in kept):
                reason = f"state of {needed[at] // MEBIBYTE:,} MiB is above --memory"
                yield Cell(contender=contender, position=at, skipped=reason)


def tell(line: str) -> None:
    """A line on standard error: this takes a while."""
    print(line, file=sys.stderr, flush=True)


def measured(work: str, **settings: Any) -> dict[str, Any]:
    """What a function of `bench_cells` finds, in a process of its own."""
    from statewise.cli import bench_cells

    return in_a_process(Measurement(work=getattr(bench_cells, work), settings=settings))
