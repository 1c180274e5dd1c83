"""A model divided among a group of processes, and put together again.

none, ddp   every process holds the parameters
fsdp        each holds its share of every parameter, gradient and optimizer state; blocks are gathered one by one
"""

import copy
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from statewise.core.errors import RunError
from statewise.models import Backbone
from statewise.training.checkpoint import Checkpoint, Keeper
from statewise.training.group import Group
from statewise.training.precision import LOW, InPrecision, check_precision


def divide(model: Backbone, precision: str, group: Group, example: Callable[[], Tensor]) -> tuple[Backbone, nn.Module]:
    """The model that holds what this process trains, and the module to call in its place.

    example  gives the tokens of one: what cannot be seen in a flag is seen in a pass over it

    The first is `model` itself unless it is sharded. What was asked for and is not so is an error.
    """
    sharded = group.parallelism.kind == "fsdp"
    held = shard(model, precision, group) if sharded else model
    if precision == "full" and group.parallelism.kind != "ddp":
        return held, held
    module = InPrecision(held, precision, rounded=sharded)
    check_precision(module, precision, example)
    return held, replicate(module, example()) if group.parallelism.kind == "ddp" else module


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


def shard(model: Backbone, precision: str, group: Group) -> Backbone:
    """A copy of the model of which this process holds its share: one unit for each block, one for the rest."""
    # FSDP warns of views among a block's outputs, which an in-place operation would break: states are such, and stay.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    sharded, mesh = copy.deepcopy(model), group.mesh()
    # States are handed from block to block as they are: their dtype is each mixer's own affair.
    policy = MixedPrecisionPolicy(cast_forward_inputs=False)
    if precision == "bf16-weights":
        policy = MixedPrecisionPolicy(LOW, torch.float32, cast_forward_inputs=False)
    for part in (*sharded.blocks, sharded):
        # The outermost too: what an evaluation left gathered would not be the parameters that the optimizer knows.
        fully_shard(part, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
    check_sharded(sharded, group.count)
    return sharded


def check_sharded(model: nn.Module, count: int) -> None:
    """Raise a RunError unless every parameter lies in shares over `count` processes."""
    for name, parameter in model.named_parameters():
        if not isinstance(parameter, DTensor) or not isinstance(parameter.placements[0], Shard):
            raise RunError(f"parallel is fsdp, and {name} is not sharded: every process holds all of it")
        if parameter.device_mesh.size() != count:
            raise RunError(f"parallel is fsdp, and {name} lies on {parameter.device_mesh.size()} of {count} processes")


def synchronised(module: nn.Module, *, last: bool) -> AbstractContextManager[object]:
    """The context of one backward pass among several: DDP sums gradients in the last alone.

    FSDP sums in each, since a gradient that waits would be a whole one.
    """
    return module.no_sync() if isinstance(module, DistributedDataParallel) and not last else nullcontext()


def whole(tensor: Tensor) -> Tensor:
    """A tensor that may be sharded, put together. Collective where it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def held(tensor: Tensor) -> Tensor:
    """The share of a tensor that this process holds."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def is_finite(model: nn.Module, group: Group) -> bool:
    """Whether all weights are finite numbers, in every process. Collective."""
    broken = sum(not bool(held(parameter).isfinite().all()) for parameter in model.parameters())
    return group.total(broken) == (0,)


@torch.no_grad()
def collect(trained: Backbone, model: Backbone) -> None:
    """Copy what was trained into `model`, the same in every process. Collective."""
    if trained is not model:
        into = model.state_dict()
        for name, tensor in trained.state_dict().items():
            into[name].copy_(whole(tensor))


class GroupKeeper:
    """A keeper of a group's checkpoints: the main process keeps them, whole, as one process alone would.

    So they are the same files however many processes wrote them, and any number can go on from them.
    """

    def __init__(self, keeper: Keeper, model: Backbone, group: Group) -> None:
        self.keeper = keeper
        self.model = model
        self.group = group

    def load(self) -> Checkpoint | None:
        """The main process's, for each process in the shares that it holds."""
        found = share_checkpoint(self.keeper.load() if self.group.is_main else None, self.group)
        if found is None:
            return None
        like = self.model.state_dict()
        # Random numbers are the main process's: with the same, dropout would leave out the same places of all rows.
        ours = {name for name in found.tensors if self.group.is_main or not name.startswith("generator.")}
        return Checkpoint({name: as_held(name, found.tensors[name], like) for name in ours}, found.plain)

    def is_due(self) -> bool:
        """What the main process's says."""
        return bool(self.group.of_main(self.group.is_main and self.keeper.is_due()))

    def save(self, checkpoint: Checkpoint) -> None:
        """Put every tensor together, one at a time, and have the main process keep them."""
        tensors = {}
        for name, tensor in checkpoint.tensors.items():
            entire = whole(tensor)
            if self.group.is_main:
                tensors[name] = entire
        if self.group.is_main:
            self.keeper.save(Checkpoint(tensors, checkpoint.plain))


def share_checkpoint(checkpoint: Checkpoint | None, group: Group) -> Checkpoint | None:
    """The main process's checkpoint, in all of them. Collective."""
    tensors = {} if checkpoint is None else checkpoint.tensors
    shapes = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    outline = group.shared_object(None if checkpoint is None else (shapes, checkpoint.plain))
    if outline is None:
        return None
    shapes, plain = outline
    blank = {name: torch.empty(shape, dtype=dtype) for name, (shape, dtype) in shapes.items()}
    return Checkpoint({name: group.shared(tensors.get(name, blank[name])) for name in shapes}, plain)


def as_held(name: str, tensor: Tensor, like: dict[str, Tensor]) -> Tensor:
    """A tensor of a checkpoint in the shares of the parameter that it is, or that it is the optimizer's record of."""
    kind, _, rest = name.partition(".")
    parameter = like.get(rest if kind == "model" else rest.rpartition(".")[0])
    if kind == "generator" or not isinstance(parameter, DTensor) or tensor.shape != parameter.shape:
        return tensor
    return distribute_tensor(tensor, parameter.device_mesh, parameter.placements, src_data_rank=None)
