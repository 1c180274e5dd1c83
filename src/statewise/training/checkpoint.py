"""What a training is made of at one moment: enough to go on from there as if it had never stopped.

    model.<name>            weights and buffers
    optimizer.<name>.<key>  what the optimizer keeps for each parameter
    generator.<device>      torch's random numbers (dropout, in a mixer of one's own)
    carried.<name>          the state that the next step goes on from, where training carries one
    place                   steps, tokens, seconds, recent losses, and how it ended if it did

Data are a function of (task, split, seed, step), and the learning rate one of step or seconds: both follow the place.
"""

import math
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from statewise.core.errors import RunError
from statewise.training.carried import Carried

SMOOTHED_STEPS = 20
"""Steps over which the reported loss is averaged, and over which it must be absurd to count as diverged."""


@dataclass
class Place:
    """Where a training stands between two steps.

    recent           losses of the last steps
    seconds          spent on training, without evaluations
    status, because  how it ended; None while it goes on
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=SMOOTHED_STEPS))
    status: str | None = None
    because: str = ""

    def advance(self, loss: float, tokens: int) -> None:
        """One step was taken."""
        self.step += 1
        self.tokens += tokens
        self.recent.append(loss)

    def end(self, status: str, because: str) -> None:
        """No further step is taken."""
        self.status, self.because = status, because

    @property
    def smooth_loss(self) -> float:
        """Mean of the recent losses.

        >>> Place(recent=deque([1.0, 2.0])).smooth_loss
        1.5
        """
        return math.fsum(self.recent) / len(self.recent)


@dataclass(frozen=True)
class Checkpoint:
    """A training at one moment: tensors by name, and plain data that JSON can hold."""

    tensors: dict[str, Tensor]
    plain: dict[str, Any]


class Keeper(Protocol):
    """Whoever keeps checkpoints for a loop and finds them again."""

    def load(self) -> Checkpoint | None:
        """The latest that was kept; None where training begins. Called once, before the first step."""

    def is_due(self) -> bool:
        """Whether to save after this step. Called once for each, so it must be cheap."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep one. An exception here ends the run."""


class KeepNothing:
    """A keeper for trainings that are not worth one."""

    def load(self) -> Checkpoint | None:
        """There is none."""
        return None

    def is_due(self) -> bool:
        """Never."""
        return False

    def save(self, checkpoint: Checkpoint) -> None:
        """Let go of it."""


def capture(
    model: nn.Module, optimizer: torch.optim.Optimizer, place: Place, carried: Carried | None = None
) -> Checkpoint:
    """The training as it stands. Tensors are the live ones: to be written before the next step."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    names, state = parameter_names(model, optimizer), optimizer.state_dict()["state"]
    for number, kept in state.items():
        tensors |= {f"optimizer.{names[number]}.{key}": tensor for key, tensor in kept.items()}
    tensors |= {f"generator.{device}": numbers for device, numbers in generators(model).items()}
    if carried is not None:
        tensors |= {f"carried.{name}": tensor for name, tensor in carried.tensors().items()}
    return Checkpoint(tensors, {"place": {**asdict(place), "recent": list(place.recent)}})


def restore(
    checkpoint: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer, carried: Carried | None = None
) -> Place:
    """Put model, optimizer, generators and what is carried back as they were, and return the place. Tensors are copied.

    A checkpoint of another model is a RunError.
    """
    names = parameter_names(model, optimizer)
    state = {number: part(checkpoint, f"optimizer.{name}.") for number, name in enumerate(names)}
    groups = optimizer.state_dict()["param_groups"]
    place = Place(**checkpoint.plain["place"])
    try:
        model.load_state_dict(part(checkpoint, "model."))
        optimizer.load_state_dict({"state": {n: kept for n, kept in state.items() if kept}, "param_groups": groups})
    except RuntimeError as error:
        why = " ".join(str(error).split())
        raise RunError(f"the checkpoint of step {place.step} is not of this model: {why}") from None
    for device, numbers in part(checkpoint, "generator.").items():
        set_generator(device, numbers)
    if carried is not None:
        carried.restore(part(checkpoint, "carried."))
    place.recent = deque(place.recent, maxlen=SMOOTHED_STEPS)
    return place


def resume(keeper: Keeper, model: nn.Module, optimizer: torch.optim.Optimizer, carried: Carried | None = None) -> Place:
    """Where a training goes on: at its latest checkpoint, which is put back, or at the beginning."""
    checkpoint = keeper.load()
    return Place() if checkpoint is None else restore(checkpoint, model, optimizer, carried)


def part(checkpoint: Checkpoint, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, by what follows. Copies: what is read from a file lies there unaligned."""
    tensors = checkpoint.tensors.items()
    return {name.removeprefix(prefix): tensor.clone() for name, tensor in tensors if name.startswith(prefix)}


def parameter_names(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """Names of the parameters by the numbers that the optimizer's state gives them."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]


def generators(model: nn.Module) -> dict[str, Tensor]:
    """States of the generators that a forward pass of this model may draw from, by device."""
    devices = {str(parameter.device) for parameter in model.parameters() if parameter.device.type != "cpu"}
    states = {device: torch.get_device_module(device).get_rng_state(device) for device in sorted(devices)}
    return {"cpu": torch.get_rng_state(), **states}


def set_generator(device: str, numbers: Tensor) -> None:
    """Put one generator's state back."""
    if device == "cpu":
        torch.set_rng_state(numbers)
    else:
        torch.get_device_module(device).set_rng_state(numbers, device)
