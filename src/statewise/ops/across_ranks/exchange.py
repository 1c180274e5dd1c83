"""What ranks say to each other: lines of text, and rows of numbers. Only this file calls torch.distributed."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from statewise.core.errors import UsageError

LINE_BYTES = 192
"""What a line of text takes, whatever stands in it: all ranks must send as much before they know of each other."""

NOT_INITIALISED = """{where} across ranks: torch.distributed is not initialised, and this is one of {count} processes.
Call torch.distributed.init_process_group first, on every one of them."""


@dataclass(frozen=True)
class World:
    """The processes that share a sequence: `rank` is this one's place in it, `group` None stands for all processes."""

    rank: int
    size: int
    group: dist.ProcessGroup | None = None

    @property
    def devices(self) -> tuple[str, ...]:
        """The types of device whose tensors the group can send."""
        pairs = dist.get_backend_config(self.group).split(",")
        return tuple(pair.partition(":")[0] for pair in pairs)


def find_world(where: str, group: dist.ProcessGroup | None) -> World:
    """The processes of the group, those of the default group, or this one alone where torch.distributed is not in use.

    A UsageError that starts with `where`: not initialised though a group is given, or a launcher that sets WORLD_SIZE
    (torchrun, accelerate) started several processes; or this process is not in the group.

    >>> find_world("linear_scan", None)
    World(rank=0, size=1, group=None)
    """
    if not (dist.is_available() and dist.is_initialized()):
        count = os.environ.get("WORLD_SIZE", "1")
        if group is not None or count != "1":
            raise UsageError(NOT_INITIALISED.format(where=where, count=count if group is None else "a group's"))
        return World(rank=0, size=1)
    rank = dist.get_rank(group)
    if rank < 0:
        raise UsageError(
            f"{where} across ranks: rank {dist.get_rank()} is not in the group that it was given. "
            "Call it on the group's ranks only."
        )
    return World(rank, dist.get_world_size(group), group)


def require_sendable(where: str, world: World, device: torch.device) -> None:
    """Raise a UsageError unless the group can send tensors of this device."""
    if device.type not in world.devices:
        raise UsageError(
            f"{where} across ranks: the tensors are on {device}; the group's backend {dist.get_backend(world.group)} "
            f"sends those on {' or '.join(world.devices)}. Move them, or make a group with another backend."
        )


def announce(world: World, line: str) -> Callable[[], list[str]]:
    """Begin to send a line of text to all ranks; call what is returned for all of theirs, in the order of ranks.

    Lines are cut after LINE_BYTES bytes. They travel as CPU tensors where the group sends those, so that ranks whose
    tensors are on different devices still hear each other.
    """
    mine = torch.zeros(LINE_BYTES, dtype=torch.uint8)
    text = line.encode("ascii", "replace")[:LINE_BYTES]
    mine[: len(text)] = torch.tensor(list(text), dtype=torch.uint8)
    mine = mine.to("cpu" if "cpu" in world.devices else world.devices[0])
    theirs = [torch.empty_like(mine) for _ in range(world.size)]
    work = dist.all_gather(theirs, mine, group=world.group, async_op=True)

    def hear() -> list[str]:
        work.wait()
        return [bytes(row.tolist()).rstrip(b"\0").decode() for row in theirs]

    return hear


def gather(world: World, row: Tensor) -> Tensor:
    """Every rank's row (B, K), stacked as (ranks, B, K). All rows have one shape, dtype and type of device."""
    rows = row.new_empty(world.size, *row.shape)
    dist.all_gather(list(rows.unbind()), row.contiguous(), group=world.group)
    return rows
