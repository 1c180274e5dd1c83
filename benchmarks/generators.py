"""Is drawing the data ever what training waits for?

For each task one batch at its preset's batch size and middle size: an update of a one-layer minGRU model of width 64 on
it, against drawing it. The goal is an update at least 20 times as long. One thread, as in a worker of `compare`.

    python benchmarks/generators.py            every task
    python benchmarks/generators.py dyck mqar  some
"""

import sys
from collections.abc import Callable
from functools import partial

from timing import medians, steady, threads
from torch import nn, optim

from statewise.models import ModelConfig, build_model
from statewise.studies.presets import PRESETS, Preset
from statewise.tasks import TASKS, Batch, VectorTask
from statewise.training import TrainingConfig
from statewise.training.evaluate import loss_of
from statewise.training.loop import make_optimizer

WIDTH, GOAL = 64, 20


def update(model: nn.Module, optimizer: optim.Optimizer, batch: Batch, clip: float) -> None:
    """One training step on a batch that is there already."""
    logits, _ = model(batch.tokens)
    loss = loss_of(logits, batch)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    loss.item()


def works(preset: Preset, size: int) -> dict[str, Callable[[], object]]:
    """What is timed: an update, and the drawing of its batch."""
    task = preset.task
    draw = partial(task.examples, "train", seed=0, start=0, count=preset.batch_size, size=size)
    channels = task.channels if isinstance(task, VectorTask) else None
    model = build_model(ModelConfig(vocabulary=task.vocabulary(size), channels=channels, width=WIDTH, stack="mingru"))
    config = TrainingConfig(sizes=(size,), batch_size=preset.batch_size)
    return {"update": partial(update, model, make_optimizer(model, config), draw(), config.clip), "draw": draw}


def main(names: list[str]) -> None:
    """Print one table."""
    steady()
    print(f"{'task':24}{'batch':>7}{'size':>6}{'tokens':>8}{'update ms':>11}{'draw ms':>9}{'ratio':>8}{'goal':>6}")
    with threads(1):
        for name in names:
            preset = PRESETS[name]
            size = preset.sizes[len(preset.sizes) // 2]
            spent = medians(works(preset, size), 31)
            ratio = spent["update"] / spent["draw"]
            print(
                f"{name:24}{preset.batch_size:7}{size:6}{preset.batch_size * preset.task.length(size):8,}"
                f"{spent['update']:11.2f}{spent['draw']:9.3f}{ratio:8.1f}{GOAL:6}{'' if ratio >= GOAL else '  missed'}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:] or [name for name in TASKS if name in PRESETS])
