"""The state that one step of training hands to the next: truncated backpropagation through time.

step s      window s of each stream      gradients end where the window begins
state       ─────────────────────▶       values go on, without their history
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from statewise.core.errors import RunError, UsageError
from statewise.core.snapshots import as_real
from statewise.core.state import detach_state, map_state, named_leaves, state_bits
from statewise.models import Backbone, Trainable
from statewise.tasks import Task
from statewise.training.config import TrainingConfig
from statewise.training.group import Group


class Carried:
    """The state after the last step, without its history; None before the first.

    >>> from statewise.models import LanguageModel
    >>> carried = Carried(LanguageModel(vocabulary=2, width=4), batch_size=3)
    >>> carried.take(carried.model.initial_state(3))
    >>> {name: tuple(tensor.shape) for name, tensor in carried.tensors().items()}
    {'blocks.0.mixer.hidden': (3, 4)}
    """

    def __init__(self, model: Backbone, batch_size: int) -> None:
        self.model = model
        self.batch_size = batch_size
        self.state: Any = None

    def take(self, state: Any) -> None:
        """Keep the state after a step."""
        self.state = detach_state(state)

    def tensors(self) -> dict[str, Tensor]:
        """The state by the names of its tensors, complex numbers as pairs of real ones; none before the first step."""
        return {} if self.state is None else {name: as_real(leaf) for name, leaf in named_leaves(self.state)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `tensors` gave. Those of another model or batch are a RunError."""
        if not tensors:
            self.state = None
            return
        like = self.model.initial_state(self.batch_size)
        wanted = {name: as_real(leaf).shape for name, leaf in named_leaves(like)}
        if wanted != {name: tensor.shape for name, tensor in tensors.items()}:
            raise RunError("the state in the checkpoint is not of this model and batch")
        names = iter(wanted)

        def taken(leaf: Tensor) -> Tensor:
            tensor = tensors[next(names)]
            return (torch.view_as_complex(tensor) if leaf.is_complex() else tensor).to(leaf.device)

        self.state = map_state(taken, like)


def carry(
    model: Trainable, task: Task, config: TrainingConfig, group: Group, example: Callable[[], Tensor]
) -> Carried | None:
    """What carries the state from step to step, for a task whose examples go on where others ended; else None.

    example  gives the tokens of one, to see whether the model's state stays as large as it is

    What cannot be carried is a UsageError.
    """
    streams = task.num_streams()
    if not streams:
        return None
    assert isinstance(model, Backbone)
    if streams != config.batch_size or len(config.sizes) != 1:
        raise UsageError(
            f"training: the text lies in {streams} streams, and a step takes {config.batch_size} windows of "
            f"{' or '.join(map(str, config.sizes))}; carrying the state needs as many windows as streams, of one size"
        )
    require_alone(group, config.precision)
    require_constant(model, example())
    return Carried(model, config.batch_size)


def require_alone(group: Group, precision: str) -> None:
    """Raise a UsageError unless one process trains in one piece and in full precision."""
    if group.count > 1 or group.parallelism.accumulation > 1 or precision != "full":
        raise UsageError(
            "training: with carry_state a state is carried by one process, in one piece and in full precision; asked "
            f"for were {group.division}, in {precision}: leave out carry_state, or parallel, accumulation and precision"
        )


@torch.no_grad()
def require_constant(model: Backbone, tokens: Tensor) -> None:
    """Raise a UsageError where the state grows with what was read, as attention's does."""
    _, once = model(tokens)
    _, twice = model(tokens, once)
    if state_bits(twice) != state_bits(once):
        raise UsageError(
            f"training: the state of {model.config.stack} grows with every token, so it cannot be carried through a "
            "whole corpus; leave out carry_state, or take recurrent layers alone"
        )
