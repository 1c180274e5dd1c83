"""Runs on a Ray cluster: how one is joined, or started, and what a run asks of it."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch

from statewise.core.errors import UsageError
from statewise.core.optional import require
from statewise.runs import Record, RunStore
from statewise.studies.executors.protocol import Prepare, Progress, Slots
from statewise.studies.executors.ray_quiet import quiet
from statewise.studies.executors.ray_reach import check_reachable, host_and_port
from statewise.studies.executors.ray_tasks import Tasks, reason
from statewise.studies.run_config import RunConfig

RETRIES = 3
"""Lost workers that a run survives."""

OBJECT_STORE_BYTES = 80 * 2**20
"""Ray's least: what passes through it are records, and results are in the run folders."""

QUIETLY: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}


@dataclass(frozen=True, kw_only=True)
class Ray:
    """Tasks of a Ray cluster: one for each run, on whichever node has room. All nodes share the runs folder.

    address  HOST:PORT of the cluster's head, or auto for one that this machine belongs to; None starts one on this
             machine and ends it with the work. A session that the caller has begun is used, and left as it is
    cpus     CPUs that a run asks for, and threads that it computes with
    gpus     GPUs that a run asks for; 0.5 lets two share one
    retries  lost workers that a run survives; with one more it is recorded as crashed
    """

    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0
    retries: int = RETRIES

    def __post_init__(self) -> None:
        if self.cpus < 1:
            raise UsageError(f"ray: cpus_per_run is {self.cpus}; it must be at least 1")
        if not 0 <= self.gpus < math.inf or (self.gpus > 1 and self.gpus % 1):
            raise UsageError(f"ray: gpus_per_run is {self.gpus:g}; it must be a share up to 1, or a whole number")
        if self.retries < 0:
            raise UsageError(f"ray: retries is {self.retries}; it must be at least 0")
        if self.address not in (None, "auto"):
            host_and_port(self.address)

    def slots(self, workers: int | None, planned: int) -> Slots:
        """As many as the cluster has room for, at most `workers`; a cluster of its own is not started to be asked."""
        if self.address is None:
            room = workers or self._room_here()
        else:
            with self._connected(workers) as ray:
                room = self._room(ray)
        return Slots(max(1, min(planned, room, workers or room)), self.cpus)

    def run(
        self,
        runs: Sequence[RunConfig],
        store: RunStore,
        progress: Progress,
        *,
        workers: int | None,
        planned: int,
        prepare: Prepare | None,
    ) -> dict[str, Record]:
        """Run all. A run whose worker or node is lost is tried again elsewhere, and that is noted.

        What a run gets does not depend on `planned`.
        """
        with self._connected(workers) as ray:
            if self._room(ray) == 0:
                progress.note(f"no node of the cluster has {self._request()}, which a run asks for: waiting for one")
            request = {"num_cpus": self.cpus, "num_gpus": self.gpus}
            tasks = Tasks(ray, store, progress, request=request, prepare=prepare, retries=self.retries)
            return tasks.run(runs, at_a_time=workers or len(runs))

    @contextmanager
    def _connected(self, workers: int | None) -> Iterator[ModuleType]:
        """Ray, in a session that ends with the context unless it was there before."""
        ray = require("ray", extra="ray", purpose="the executor ray")
        if ray.is_initialized():
            yield ray
            return
        with quiet():
            try:
                if self.address is None:
                    self._start(ray, workers)
                else:
                    join(ray, self.address)
                yield ray
            finally:
                ray.shutdown()

    def _start(self, ray: ModuleType, workers: int | None) -> None:
        """A cluster on this machine, for this process alone."""
        ray.init(
            address="local",
            num_cpus=self.cpus * (workers or self._room_here()),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            **QUIETLY,
        )
        if self._room(ray) == 0:
            raise UsageError(f"ray: this machine does not have {self._request()}, which a run asks for")

    def _room_here(self) -> int:
        return max(1, torch.get_num_threads() // self.cpus)

    def _room(self, ray: ModuleType) -> int:
        """Runs that the living nodes have room for, when nothing else runs."""
        return sum(self._room_of(node["Resources"]) for node in ray.nodes() if node["Alive"])

    def _room_of(self, resources: dict[str, float]) -> int:
        room = resources.get("CPU", 0.0) / self.cpus
        return int(min(room, resources.get("GPU", 0.0) / self.gpus) if self.gpus else room)

    def _request(self) -> str:
        cpus = f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"
        return f"{cpus} and {self.gpus:g} GPU{'s' if self.gpus > 1 else ''}" if self.gpus else cpus


def join(ray: ModuleType, address: str) -> None:
    """Become a client of the cluster at `address`; a UsageError where there is none, within seconds."""
    if address != "auto":
        check_reachable(address)
    try:
        ray.init(address=address, **QUIETLY)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, SystemExit) as error:
        raise UsageError(f"ray: the cluster at {address} cannot be joined: {reason(error)}") from None
