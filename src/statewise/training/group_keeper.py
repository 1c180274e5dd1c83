"""The checkpoints of a group of processes: those that one process alone would have written.

So any number of processes, in any kind of parallelism, can go on from them.
"""

import torch
from torch import Tensor

from statewise.training.checkpoint import Checkpoint, Keeper
from statewise.training.division import Divided
from statewise.training.group import Group


class GroupKeeper:
    """The main process's keeper, for all: it keeps whole tensors, and every process is given what it is to hold."""

    def __init__(self, keeper: Keeper, divided: Divided) -> None:
        self.keeper = keeper
        self.divided = divided
        self.group = divided.group

    def load(self) -> Checkpoint | None:
        """The main process's latest, in the shares that this process holds."""
        found = share_checkpoint(self.keeper.load() if self.group.is_main else None, self.group)
        if found is None:
            return None
        like = self.divided.model.state_dict()
        # Random numbers are the main process's: with the same, dropout would leave out the same places of all rows.
        ours = [name for name in found.tensors if self.group.is_main or not name.startswith("generator.")]
        return Checkpoint({name: self._placed(name, found.tensors[name], like) for name in ours}, found.plain)

    def is_due(self) -> bool:
        """What the main process's says."""
        return bool(self.group.of_main(self.group.is_main and self.keeper.is_due()))

    def save(self, checkpoint: Checkpoint) -> None:
        """Put every tensor together, one at a time, and have the main process keep them."""
        tensors = {}
        for name, tensor in checkpoint.tensors.items():
            whole = self.divided.layout.whole(tensor)
            if self.group.is_main:
                tensors[name] = whole
        if self.group.is_main:
            self.keeper.save(Checkpoint(tensors, checkpoint.plain))

    def _placed(self, name: str, tensor: Tensor, like: dict[str, Tensor]) -> Tensor:
        """A tensor as the parameter lies that it is, or that it is the optimizer's record of."""
        kind, _, rest = name.partition(".")
        parameter = like.get(rest if kind == "model" else rest.rpartition(".")[0])
        return tensor if parameter is None else self.divided.layout.placed_as(tensor, parameter)


def share_checkpoint(checkpoint: Checkpoint | None, group: Group) -> Checkpoint | None:
    """The main process's checkpoint, in all of them. Collective."""
    tensors = {} if checkpoint is None else checkpoint.tensors
    shapes = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    outline = group.shared_object(None if checkpoint is None else (shapes, checkpoint.plain))
    if outline is None:
        return None
    shapes, plain = outline
    shared = {}
    for name, (shape, dtype) in shapes.items():
        shared[name] = group.shared(tensors[name] if group.is_main else torch.empty(shape, dtype=dtype))
    return Checkpoint(shared, plain)
