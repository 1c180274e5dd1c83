"""The processes that train one model together: their shares, their sums, and how the error of one ends all.

Every process calls the same collective methods in the same order; where there is one process they cost nothing.
Sockets are gloo's, on the CPU.
"""

import gc
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import Store
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.rendezvous import rendezvous

from statewise.core.errors import RunError, StatewiseError, UsageError
from statewise.training.parallelism import Parallelism

LONGEST_SILENCE = timedelta(minutes=30)
"""For how long a process that is alive may keep the others waiting in a step. One that ends is noticed at once."""

LONGEST_WAIT_FOR_MAIN = timedelta(days=30)
"""For how long the others wait while the first measures the trained model."""

SECONDS_TO_RECORD = 30.0
"""What a process that fails gives the main one at most to keep the record of it: torchrun ends them all after it."""

SECONDS_TO_SPEAK = 10.0
"""What a process that has nothing to say gives the one that has."""

FAILURES, REASON, RECORDED = "statewise/failures", "statewise/reason", "statewise/recorded"


@dataclass(frozen=True)
class Group:
    """This process among the `count` that train together; without arguments, one process alone.

    rank         its number, from 0; number 0 is the main one, which alone writes and prints
    parallelism  how they divide the work
    store        where they leave word of an error; None where there is one process
    """

    rank: int = 0
    count: int = 1
    parallelism: Parallelism = field(default_factory=Parallelism)
    store: Store | None = None

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    @property
    def division(self) -> str:
        """How the work is divided, in words.

        >>> Group().division, Group(0, 2, Parallelism(kind="ddp", accumulation=4)).division
        ('1 process', '2 processes by ddp, accumulation 4')
        """
        by = f" by {self.parallelism.kind}" if self.count > 1 else ""
        pieces = f", accumulation {self.parallelism.accumulation}" if self.parallelism.accumulation > 1 else ""
        return f"{self.count} process{'es' if self.count > 1 else ''}{by}{pieces}"

    def rows(self, start: int, count: int) -> tuple[int, int]:
        """Where this process's share of the examples `start … start+count-1` begins, and how many they are.

        >>> [Group(rank, 3).rows(10, 7) for rank in range(3)]
        [(10, 2), (12, 2), (14, 3)]
        """
        first, last = self.rank * count // self.count, (self.rank + 1) * count // self.count
        return start + first, last - first

    def total(self, *values: float) -> tuple[float, ...]:
        """Each value summed over the processes, the same bits in all of them. Collective."""
        if self.count == 1:
            return values
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        return tuple(sums.tolist())

    def of_main(self, value: float) -> float:
        """The main process's value, in all of them: for what depends on its clock or its disk. Collective."""
        return self.shared(torch.tensor([value], dtype=torch.float64)).item() if self.count > 1 else value

    def shared(self, tensor: Tensor) -> Tensor:
        """The main process's tensor, in all of them: `tensor` is overwritten in the others. Collective."""
        dist.broadcast(tensor, src=0)
        return tensor

    def shared_object(self, value: Any) -> Any:
        """The main process's value, plain data, in all of them. Collective."""
        holder = [value]
        dist.broadcast_object_list(holder, src=0)
        return holder[0]

    def mesh(self) -> DeviceMesh:
        """The processes in a row, for FSDP."""
        return init_device_mesh("cpu", (self.count,))

    def wait_for_main(self, key: str) -> None:
        """Wait until the main process has come here too, however long it takes. Collective; `key` is used once."""
        if self.store is None:
            return
        if self.is_main:
            self.store.set(key, "")
        self.store.wait([key], LONGEST_WAIT_FOR_MAIN)

    def fail(self, error: Exception) -> bool:
        """Tell the others that this process fails. True where it is the first to, which should say why.

        The connections are closed, so that none goes on waiting for this process.
        """
        reason = str(error) if isinstance(error, StatewiseError) else f"{type(error).__name__}: {error}"
        if self.store is None:
            return True
        first = bool(self.store.add(FAILURES, 1) == 1)
        if first:
            self.store.set(REASON, reason)
        forget_frames(error)
        if dist.is_initialized():
            dist.destroy_process_group()
        with suppress(dist.DistError, RuntimeError):
            if self.is_main:
                self.store.set(RECORDED, "")
            else:
                self.store.wait([RECORDED], timedelta(seconds=SECONDS_TO_RECORD))
        return first

    def failure(self) -> str | None:
        """Why another process failed, if one has said so."""
        if self.store is None or not self.store.check([REASON]):
            return None
        reason: bytes = self.store.get(REASON)
        return reason.decode()


ALONE = Group()


def forget_frames(error: BaseException | None) -> None:
    """Let go of what the frames of an error hold: a model under DDP keeps the connections open while it is there."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()


def started_processes() -> tuple[int, int]:
    """This process's number and how many the launcher started, as it says: (0, 1) without one."""
    try:
        return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError:
        raise UsageError(
            f"RANK is {os.environ.get('RANK')!r} and WORLD_SIZE {os.environ.get('WORLD_SIZE')!r}; both must be numbers"
        ) from None


@contextmanager
def join(parallelism: Parallelism) -> Iterator[Group]:
    """The group of processes that the launcher started, for a `with` block.

    What was asked for and cannot be, one process instead of several above all, is a UsageError.

    >>> with join(Parallelism()) as group:
    ...     group.count, group.is_main
    (1, True)
    """
    _, count = started_processes()
    parallelism.check_started(count)
    if count == 1:
        yield Group(parallelism=parallelism)
        return
    if dist.is_initialized():
        raise UsageError("join: torch.distributed is initialised already; leave that to join")
    store, rank, count = next(rendezvous("env://", timeout=LONGEST_SILENCE))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=count, timeout=LONGEST_SILENCE)
    try:
        group = Group(rank, count, parallelism, store)
        check_connected(group)
        yield group
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def check_connected(group: Group) -> None:
    """Raise a RunError unless as many processes answer as the launcher said."""
    (answered,) = group.total(1)
    if answered != group.count:
        raise RunError(f"{group.count} processes were started and {answered:.0f} answer")


def wait_to_be_ended() -> None:
    """Give the process that speaks the time to do so: a launcher ends all as soon as one has ended."""
    time.sleep(SECONDS_TO_SPEAK)
