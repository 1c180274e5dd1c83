"""A model divided among a group of processes, and put together again.

none, ddp   every process holds the parameters
fsdp        each holds its share of every parameter, gradient and optimizer state; blocks are gathered one by one
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from statewise.models import Trainable
from statewise.training.group import Group
from statewise.training.precision import InPrecision, check_precision


class Layout(Protocol):
    """How the tensors of a model lie in the processes that train it."""

    def place(self, model: Trainable, precision: str, group: Group) -> Trainable:
        """The model that holds what this process trains."""

    def whole(self, tensor: Tensor) -> Tensor:
        """The tensor put together. Collective."""

    def local(self, tensor: Tensor) -> Tensor:
        """What this process holds of it."""

    def placed_as(self, tensor: Tensor, like: Tensor) -> Tensor:
        """A whole tensor, the same in every process, as `like` lies."""


class Copies:
    """Every process holds every tensor."""

    def place(self, model: Trainable, precision: str, group: Group) -> Trainable:
        """The model itself."""
        return model

    def whole(self, tensor: Tensor) -> Tensor:
        """The tensor: it is whole."""
        return tensor

    def local(self, tensor: Tensor) -> Tensor:
        """All of it."""
        return tensor

    def placed_as(self, tensor: Tensor, like: Tensor) -> Tensor:
        """The tensor: it lies so."""
        return tensor


@dataclass(frozen=True)
class Divided:
    """A model that a group of processes trains.

    model   holds what this process trains; another one than was given where that is a share
    module  is called in its place
    """

    model: Trainable
    module: nn.Module
    layout: Layout
    group: Group

    def is_finite(self) -> bool:
        """Whether all weights are finite numbers, in every process. Collective."""
        broken = sum(not bool(self.layout.local(tensor).isfinite().all()) for tensor in self.model.parameters())
        return self.group.total(broken) == (0,)

    @torch.no_grad()
    def collect(self, model: Trainable) -> None:
        """Copy what was trained into `model`, the same in every process. Collective."""
        if model is not self.model:
            into = model.state_dict()
            for name, tensor in self.model.state_dict().items():
                into[name].copy_(self.layout.whole(tensor))


def divide(model: Trainable, precision: str, group: Group, example: Callable[[], Tensor]) -> Divided:
    """The model in the shares that the group's parallelism says. What was asked for and is not so is an error.

    example  gives the tokens of one: what cannot be seen in a flag is seen in a pass over it
    """
    kind = group.parallelism.kind
    layout = layout_of(kind)
    placed = layout.place(model, precision, group)
    if precision == "full" and kind != "ddp":
        return Divided(placed, placed, layout, group)
    module: nn.Module = InPrecision(placed, precision, rounded=kind == "fsdp")
    check_precision(module, precision, example)
    return Divided(placed, replicate(module, example()) if kind == "ddp" else module, layout, group)


def layout_of(kind: str) -> Layout:
    """How tensors lie in this kind of parallelism."""
    if kind != "fsdp":
        return Copies()
    from statewise.training.sharding import Shards

    return Shards()


def replicate(module: nn.Module, tokens: Tensor) -> DistributedDataParallel:
    """The module under DDP, which starts from the main process's parameters.

    Where a parameter gets no gradient, DDP has to be told: it leaves the gradients beside it unsummed otherwise, and
    says nothing in the first step.
    """
    idle = any(gradient is None for gradient in gradients_of(module, tokens))
    return DistributedDataParallel(module, find_unused_parameters=idle)


def gradients_of(module: nn.Module, tokens: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of the sum of a module's outputs with respect to its parameters; None where it has none."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return torch.autograd.grad(module(tokens)[0].float().sum(), parameters, allow_unused=True)


def synchronised(module: nn.Module, *, last: bool) -> AbstractContextManager[object]:
    """The context of one backward pass among several: DDP sums gradients in the last alone.

    FSDP sums in each, since a gradient that waits would be a whole one.
    """
    return module.no_sync() if isinstance(module, DistributedDataParallel) and not last else nullcontext()
