"""The training loop: budget, schedule, early stop, divergence. Says what it does through a sink."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from statewise.core.events import Evaluated, Finished, Progress, Sink
from statewise.core.random import child_seed
from statewise.models import Backbone
from statewise.tasks import Task
from statewise.training.checkpoint import SMOOTHED_STEPS, Keeper, KeepNothing, Place, capture, resume
from statewise.training.config import TrainingConfig
from statewise.training.evaluate import evaluate, loss_of

SECONDS_BETWEEN_REPORTS = 0.25
DIVERGED_AT = 10.0
"""Times the loss of a model that knows nothing: what no step on the way to learning costs for long."""


NOTHING_KEPT = KeepNothing()


@dataclass(frozen=True)
class Outcome:
    """How training ended.

    status  finished or diverged; `because` says why, in words
    tokens  trained on; `seconds` were spent on them, evaluations apart
    """

    status: str
    because: str
    step: int
    tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Training throughput, evaluations not counted."""
        return self.tokens / max(self.seconds, 1e-9)


def train(
    model: Backbone,
    task: Task,
    config: TrainingConfig,
    *,
    seed: int,
    sink: Sink,
    keeper: Keeper = NOTHING_KEPT,
) -> Outcome:
    """Train `model` in place on `task`; the data are those of (task, "train", seed).

    A loss that is not finite, or stays above ten times that of knowing nothing (ln V, or the variance of the targets),
    ends training as diverged; so do weights that are not finite. Where `keeper` has a checkpoint, training goes on from
    there; it is asked after every step whether to save one, and is given one more when training has ended.
    """
    for size in config.sizes:
        task.check_size(size)
    optimizer = make_optimizer(model, config)
    place = resume(keeper, model, optimizer)
    clock = Clock(config, spent=place.seconds)
    hopeless = DIVERGED_AT * loss_of_ignorance(model, task, config)
    model.train()
    begun = place.step
    while place.status is None and not clock.over(place.step):
        rate = clock.rate(place.step)
        loss, read = one_step(model, task, config, optimizer, seed=seed, step=place.step, rate=rate)
        place.advance(loss, read)
        if not math.isfinite(loss) or (len(place.recent) == SMOOTHED_STEPS and place.smooth_loss > hopeless):
            place.end("diverged", f"the loss was {loss:.4g} at step {place.step}")
            break
        clock.report(sink, place.step, place.tokens, place.smooth_loss)
        if place.step % config.evaluate_every == 0:
            with clock.paused():
                solved = validate(model, task, config, seed=seed, step=place.step, sink=sink, seconds=clock.training)
            if solved:
                place.end("finished", f"solved on the validation split at step {place.step}")
        if place.status is None and keeper.is_due():
            with clock.paused():
                place.seconds = clock.training
                keeper.save(capture(model, optimizer, place))
    conclude(model, place)
    place.seconds = clock.training
    if place.step > begun:
        keeper.save(capture(model, optimizer, place))
    model.eval()
    status = place.status or "finished"
    sink.write(Finished(step=place.step, status=status, because=place.because, seconds=place.seconds))
    return Outcome(status, place.because, place.step, place.tokens, place.seconds)


def conclude(model: nn.Module, place: Place) -> None:
    """Say how training ended, where no step has: the budget is used up. Weights that are not finite are no model."""
    if place.status is None:
        place.end("finished", "the budget is used up")
    if place.status == "finished" and not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
        place.end("diverged", f"weights were not finite after step {place.step}")


def loss_of_ignorance(model: Backbone, task: Task, config: TrainingConfig) -> float:
    """The loss of a model that answers without reading."""
    if task.measure == "squared error":
        return max(task.chance(size) for size in config.sizes)
    return math.log(model.config.vocabulary)


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW with weight decay on the matrices of linear maps; embeddings, norms and biases go without."""
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in model.parameters():
        decays = parameter.ndim >= 2 and id(parameter) not in embeddings
        (matrices if decays else others).append(parameter)
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)


def one_step(
    model: Backbone,
    task: Task,
    config: TrainingConfig,
    optimizer: torch.optim.Optimizer,
    *,
    seed: int,
    step: int,
    rate: float,
) -> tuple[float, int]:
    """One update; returns the loss before it and the number of tokens read."""
    size = config.sizes[child_seed(seed, "size", step) % len(config.sizes)]
    start, count = step * config.batch_size, config.batch_size
    batch = task.examples("train", seed=seed, start=start, count=count, size=size)
    for group in optimizer.param_groups:
        group["lr"] = rate
    outputs, _ = model(batch.tokens)
    loss = loss_of(outputs, batch)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    optimizer.step()
    return loss.item(), batch.tokens.numel()


def validate(
    model: Backbone,
    task: Task,
    config: TrainingConfig,
    *,
    seed: int,
    step: int,
    sink: Sink,
    seconds: float,
) -> bool:
    """Score every training size on the validation split; true when all reach `solved_at`.

    Sizes come largest first, and the first that is not solved ends the round: the answer is known.
    """
    for size in sorted(set(config.sizes), reverse=True):
        score = evaluate(model, task, split="validation", size=size, examples=config.validation, seed=seed)
        sink.write(
            Evaluated(
                step=step,
                split="validation",
                size=size,
                loss=score.loss,
                token_accuracy=score.token_accuracy,
                sequence_accuracy=score.sequence_accuracy,
                seconds=seconds,
            )
        )
        if config.solved_at is None or score.sequence_accuracy is None or score.sequence_accuracy < config.solved_at:
            return False
    return True


class Clock:
    """Where a run stands in its budget; evaluations stop it. `spent` are seconds of training before it was made."""

    def __init__(self, config: TrainingConfig, *, spent: float = 0.0) -> None:
        self.config = config
        self.begun = time.perf_counter() - spent
        self.away = 0.0
        self.reported = spent

    @property
    def training(self) -> float:
        """Seconds spent training."""
        return time.perf_counter() - self.begun - self.away

    def fraction(self, step: int) -> float:
        """Share of the budget that is used."""
        if self.config.time is not None:
            return self.training / self.config.time
        return step / self.config.steps if self.config.steps else 1.0

    def over(self, step: int) -> bool:
        """Whether the budget is used up."""
        return self.fraction(step) >= 1

    def rate(self, step: int) -> float:
        """The learning rate of the step that comes."""
        return self.config.rate(step, self.fraction(step))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A context in which training time stands still."""
        left = time.perf_counter()
        yield
        self.away += time.perf_counter() - left

    def report(self, sink: Sink, step: int, tokens: int, loss: float) -> None:
        """Emit Progress, at most a few times a second."""
        seconds = self.training
        if seconds - self.reported < SECONDS_BETWEEN_REPORTS:
            return
        self.reported = seconds
        fraction = self.fraction(step)
        sink.write(
            Progress(
                step=step,
                fraction=min(1.0, fraction),
                loss=loss,
                tokens_per_second=tokens / seconds,
                seconds=seconds,
                seconds_left=max(0.0, seconds / max(fraction, 1e-9) - seconds),
            )
        )
