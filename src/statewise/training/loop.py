"""The training loop: budget, schedule, early stop, divergence. Says what it does through a sink."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from statewise.core.events import Evaluated, Finished, Progress, Sink, Tee
from statewise.core.random import child_seed, seeded
from statewise.models import Trainable
from statewise.tasks import Batch, Task
from statewise.training.carried import Carried, carry
from statewise.training.checkpoint import SMOOTHED_STEPS, Keeper, KeepNothing, Place, capture, resume
from statewise.training.config import TrainingConfig
from statewise.training.division import Divided, divide, synchronised
from statewise.training.evaluate import evaluate, loss_of, read
from statewise.training.group import ALONE, Group
from statewise.training.group_keeper import GroupKeeper

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
    model: Trainable,
    task: Task,
    config: TrainingConfig,
    *,
    seed: int,
    sink: Sink,
    keeper: Keeper = NOTHING_KEPT,
    group: Group = ALONE,
) -> Outcome:
    """Train `model` in place on `task`; the data are those of (task, "train", seed).

    group  processes that train it together, each of which calls this alike; sink and keeper are the main one's

    A loss that is not finite, or stays above ten times that of knowing nothing (ln V, or the variance of the targets),
    ends training as diverged; so do weights that are not finite. Where `keeper` has a checkpoint, training goes on from
    there; it is asked after every step whether to save one, and is given one more when training has ended.
    """
    for size in config.sizes:
        task.check_size(size)
    group.parallelism.check_batch(config.batch_size, group.count)
    example = partial(first_tokens, task, config, seed)
    divided = divide(model, config.precision, group, example)
    if group.count > 1:
        sink, keeper = sink if group.is_main else Tee(), GroupKeeper(keeper, divided)
    optimizer = make_optimizer(divided.model, config)
    carried = carry(divided.model, task, config, group, example)
    place = resume(keeper, divided.model, optimizer, carried)
    clock = Clock(config, spent=place.seconds)
    hopeless = DIVERGED_AT * loss_of_ignorance(model, task, config)
    module = divided.module.train()
    begun = place.step
    while place.status is None and (fraction := group.of_main(clock.fraction(place.step))) < 1:
        rate = config.rate(place.step, fraction)
        loss, tokens = one_step(
            module, task, config, optimizer, seed=seed, step=place.step, rate=rate, group=group, carried=carried
        )
        place.advance(loss, tokens)
        if not math.isfinite(loss) or (len(place.recent) == SMOOTHED_STEPS and place.smooth_loss > hopeless):
            place.end("diverged", f"the loss was {loss:.4g} at step {place.step}")
            break
        clock.report(sink, place.step, place.tokens, place.smooth_loss)
        if place.step % config.evaluate_every == 0:
            with clock.paused():
                seconds = clock.training
                solved = validate(
                    module, task, config, seed=seed, step=place.step, sink=sink, seconds=seconds, group=group
                )
            if solved:
                place.end("finished", f"solved on the validation split at step {place.step}")
        if place.status is None and keeper.is_due():
            with clock.paused():
                place.seconds = clock.training
                keeper.save(capture(divided.model, optimizer, place, carried))
    conclude(divided, place)
    place.seconds = clock.training
    if place.step > begun:
        keeper.save(capture(divided.model, optimizer, place, carried))
    divided.collect(model)
    model.eval()
    status = place.status or "finished"
    sink.write(Finished(step=place.step, status=status, because=place.because, seconds=place.seconds))
    return Outcome(status, place.because, place.step, place.tokens, place.seconds)


def first_tokens(task: Task, config: TrainingConfig, seed: int) -> Tensor:
    """One example to try a model on before it is trained."""
    return task.examples("train", seed=seed, start=0, count=1, size=min(config.sizes)).tokens


def conclude(divided: Divided, place: Place) -> None:
    """Say how training ended, where no step has: the budget is used up. Weights that are not finite are no model."""
    if place.status is None:
        place.end("finished", "the budget is used up")
    if place.status == "finished" and not divided.is_finite():
        place.end("diverged", f"weights were not finite after step {place.step}")


def loss_of_ignorance(model: Trainable, task: Task, config: TrainingConfig) -> float:
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
    module: nn.Module,
    task: Task,
    config: TrainingConfig,
    optimizer: torch.optim.Optimizer,
    *,
    seed: int,
    step: int,
    rate: float,
    group: Group = ALONE,
    carried: Carried | None = None,
) -> tuple[float, int]:
    """One update; returns the loss before it and the number of tokens read, those of the whole group."""
    size = config.sizes[child_seed(seed, "size", step) % len(config.sizes)]
    start, count = group.rows(step * config.batch_size, config.batch_size)
    batch = task.examples("train", seed=seed, start=start, count=count, size=size)
    for settings in optimizer.param_groups:
        settings["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    # What dropout drops is a function of (seed, first row), as the data are: a run that goes on later drops the same.
    with seeded(child_seed(seed, "dropout", start)):
        loss = backward(module, batch, group, carried, smoothing=task.smoothing)
    nn.utils.clip_grad_norm_(module.parameters(), config.clip)
    optimizer.step()
    loss, tokens = group.total(loss, batch.tokens.numel())
    return loss, int(tokens)


def backward(
    module: nn.Module, batch: Batch, group: Group, carried: Carried | None = None, *, smoothing: float = 0.0
) -> float:
    """Gradients of the mean loss over the scored tokens of the group's whole batch; returns this process's share of it.

    carried  the state that the batch goes on from, which is replaced by the one after it

    Rows, and so processes, may have different numbers of scored tokens: each counts by those that it has.
    """
    (scored,) = group.total(batch.scored.sum().item())
    pieces = pieces_of(batch, group.parallelism.accumulation)
    shares = []
    for i, piece in enumerate(pieces):
        with synchronised(module, last=i == len(pieces) - 1):
            outputs, state = read(module, piece, None if carried is None else carried.state)
            # A batch of documents of one token each asks for nothing, and teaches nothing.
            share = loss_of(outputs, piece, reduction="sum", smoothing=smoothing) / max(1, scored)
            # DDP and FSDP take the mean over processes of what is to be a sum.
            (share * group.count).backward()
        shares.append(share.item())
        if carried is not None:
            carried.take(state)
    return math.fsum(shares)


def pieces_of(batch: Batch, count: int) -> list[Batch]:
    """A batch cut into pieces of rows that differ by at most one in length."""
    each, more = divmod(len(batch.tokens), count)
    ends = [piece * each + min(piece, more) for piece in range(count + 1)]
    return [batch.map(lambda part, a=a, b=b: part[a:b]) for a, b in pairwise(ends)]  # type: ignore[misc]


def validate(
    module: nn.Module,
    task: Task,
    config: TrainingConfig,
    *,
    seed: int,
    step: int,
    sink: Sink,
    seconds: float,
    group: Group = ALONE,
) -> bool:
    """Score every training size on the validation split; true when all reach `solved_at`.

    Sizes come largest first, and the first that is not solved ends the round: the answer is known.
    """
    for size in sorted(set(config.sizes), reverse=True):
        score = evaluate(
            module, task, split="validation", size=size, examples=config.validation, seed=seed, group=group
        )
        sink.write(
            Evaluated(
                step=step,
                split="validation",
                size=size,
                loss=score.loss,
                token_accuracy=score.token_accuracy,
                sequence_accuracy=score.sequence_accuracy,
                seconds=seconds,
                loss_per_byte=score.loss_per_byte,
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
