"""How the work of a step is divided among processes: a choice that changes numbers by rounding alone.

It is therefore no part of a run's identity, as the number of threads is none; the record says what it was.
"""

from dataclasses import dataclass

from statewise.core.errors import UsageError, pick

KINDS = {
    "none": "one process",
    "ddp": "every process holds the model and takes its rows of the batch (DistributedDataParallel)",
    "fsdp": "parameters, gradients and optimizer state are divided too (FSDP2, fully_shard)",
}

HOW_TO_START = "start it with: torchrun --nproc-per-node N -m statewise …"


@dataclass(frozen=True, kw_only=True)
class Parallelism:
    """One model over the processes that `torchrun` or `accelerate launch` started.

    kind          none, ddp or fsdp: `KINDS`
    accumulation  pieces that each process cuts its rows into, one forward and backward pass for each
    processes     how many there must be; None takes as many as were started

    The batch is that of the whole group, whatever their number.

    >>> Parallelism(kind="ddp").check_started(1)
    Traceback (most recent call last):
    ...
    statewise.core.errors.UsageError: parallel is ddp, and this process is alone: start it with: torchrun \
--nproc-per-node N -m statewise … (on a CPU, accelerate launch starts one process, whatever --num_processes says)
    """

    kind: str = "none"
    accumulation: int = 1
    processes: int | None = None

    def __post_init__(self) -> None:
        pick("parallel", self.kind, KINDS)
        if self.accumulation < 1:
            raise UsageError(f"parallel: accumulation is {self.accumulation}; it must be at least 1")
        if self.processes is not None and self.processes < 1:
            raise UsageError(f"parallel: processes is {self.processes}; it must be at least 1")

    def check_started(self, count: int) -> None:
        """Raise a UsageError unless `count` processes are what was asked for: none of it is done in silence."""
        if self.processes not in (None, count):
            raise UsageError(
                f"parallel: {self.processes} processes were asked for, and there are {count}: {HOW_TO_START}"
            )
        if self.kind == "none" and count > 1:
            raise UsageError(
                f"parallel is none, and there are {count} processes, each of which would do all the work: "
                "name ddp or fsdp, or start one process"
            )
        if self.kind != "none" and count == 1:
            raise UsageError(
                f"parallel is {self.kind}, and this process is alone: {HOW_TO_START} "
                "(on a CPU, accelerate launch starts one process, whatever --num_processes says)"
            )

    def check_batch(self, batch_size: int, count: int) -> None:
        """Raise a UsageError where a process would have no row for one of its pieces."""
        least = count * self.accumulation
        if batch_size < least:
            raise UsageError(
                f"training: batch_size is {batch_size}; {count} processes with accumulation {self.accumulation} need "
                f"at least {least}"
            )
