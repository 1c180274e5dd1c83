"""FSDP2: parameters, gradients and optimizer state in shares, one for each process.

Imported where a model is sharded: these parts of torch take longer to import than the rest of the package.
"""

import copy
import warnings

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from statewise.core.errors import RunError
from statewise.models import Trainable
from statewise.training.group import Group
from statewise.training.precision import LOW


class Shards:
    """How tensors lie under FSDP: as a DTensor over all processes, cut along the first axis."""

    def place(self, model: Trainable, precision: str, group: Group) -> Trainable:
        """A copy of the model of which this process holds its share: one unit for each block, one for the rest."""
        # FSDP warns of views among a block's outputs, which an in-place operation would break: states are, and stay.
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

    def whole(self, tensor: Tensor) -> Tensor:
        """The tensor put together. Collective."""
        return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

    def local(self, tensor: Tensor) -> Tensor:
        """The share of it that this process holds."""
        return tensor.to_local() if isinstance(tensor, DTensor) else tensor

    def placed_as(self, tensor: Tensor, like: Tensor) -> Tensor:
        """A whole tensor, the same in every process, in shares as `like`; one of another shape stays as it is."""
        if not isinstance(like, DTensor) or tensor.shape != like.shape:
            return tensor
        return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)


def check_sharded(model: nn.Module, count: int) -> None:
    """Raise a RunError unless every parameter lies in shares over `count` processes."""
    for name, parameter in model.named_parameters():
        if not isinstance(parameter, DTensor) or not isinstance(parameter.placements[0], Shard):
            raise RunError(f"parallel is fsdp, and {name} is not sharded: every process holds all of it")
        if parameter.device_mesh.size() != count:
            raise RunError(f"parallel is fsdp, and {name} lies on {parameter.device_mesh.size()} of {count} processes")
