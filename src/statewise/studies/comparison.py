"""A comparison: every model on every task with every seed, as a list of run configurations."""

from dataclasses import dataclass, replace
from typing import TypeVar

from tyro.conf import Positional

from statewise.core.durations import seconds_of
from statewise.core.errors import UsageError, pick
from statewise.models import ModelConfig, parse_stack
from statewise.studies.presets import PRESETS, Preset
from statewise.studies.run_config import EvaluationConfig, RunConfig
from statewise.tasks import TASKS, Task, Text, VectorTask, configure
from statewise.training import TrainingConfig

V = TypeVar("V")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Models on tasks, with seeds. None means the task's preset (`statewise.studies.PRESETS`)."""

    tasks: Positional[tuple[str, ...]] = ("index-lookup", "parity")
    """Tasks by name, such as index-lookup, mqar, selective-copying, permutations, text: `statewise.tasks.TASKS`."""
    models: tuple[str, ...] = ("attention", "mingru", "gru")
    """Stacks: mixers joined by +, each with an optional count, as in mingru*2+attention. A mixer of your own is a
    dotted path from the working directory or an installed package: my_module.MyMixer."""
    sizes: tuple[int, ...] | None = None
    """Task sizes to report."""
    train_sizes: tuple[int, ...] | None = None
    """Task sizes to train on; where the preset names none, those reported."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One run for each; three or more give an interval."""
    steps: int | None = None
    """Training budget in optimiser steps."""
    time: str | None = None
    """Training budget in wall time instead (90s, 5m, 1h): the schedule is laid over it."""
    width: int | None = None
    """Channels between blocks."""
    depth: int | None = None
    """How many times each stack is repeated."""
    expansion: int | None = None
    """Inner width of mixers that have one as a multiple of the width; default each mixer's own."""
    conv: int | None = None
    """Taps of a short causal convolution before each mixer; 0 leaves it out."""
    positions: str | None = None
    """none, learned or rope."""
    batch_size: int | None = None
    """Sequences in a step."""
    learning_rate: float | None = None
    """Peak learning rate."""
    settings: tuple[str, ...] = ()
    """Settings of the task as name=value, as in alphabet=16 queries=4; with a single task."""
    file: str | None = None
    """Corpus of the task text; without it, the sources of Python's standard library."""

    def plan(self) -> list[RunConfig]:
        """Every run, tasks outermost and seeds innermost. Whatever cannot be asked is a UsageError here."""
        named = {"tasks": self.tasks, "models": self.models, "seeds": self.seeds}
        named |= {"sizes": chosen(self.sizes, (1,)), "train_sizes": chosen(self.train_sizes, (1,))}
        for kind, asked in named.items():
            if not asked:
                raise UsageError(f"compare: there are no {kind}; name at least one")
            if len(set(asked)) != len(asked):
                raise UsageError(f"compare: {kind} are named twice in {' '.join(map(str, asked))}")
        if self.file is not None and "text" not in self.tasks:
            raise UsageError(f"compare: file is {self.file}, which only the task text reads; add text to the tasks")
        if self.settings and len(self.tasks) > 1:
            raise UsageError(f"compare: settings go with a single task, and there are {len(self.tasks)}")
        for stack in self.models:
            parse_stack(stack)
        return [
            run
            for name in self.tasks
            for stack in self.models
            for run in self._runs(pick("task", name, TASKS).name, stack)
        ]

    def _runs(self, name: str, stack: str) -> list[RunConfig]:
        preset = PRESETS[name]
        task = self._task(preset)
        sizes = chosen(self.sizes, preset.sizes)
        train_sizes = chosen(self.train_sizes, preset.train_sizes if self.sizes is None else None) or sizes
        for size in (*sizes, *train_sizes):
            task.check_size(size)
        run = RunConfig(
            task=task.identity(),
            model=self._model(preset, task, stack, max(*sizes, *train_sizes, 1)),
            training=self._training(preset, train_sizes),
            evaluation=EvaluationConfig(
                sizes=sizes, examples=preset.examples, strings=preset.strings if name == "index-lookup" else 0
            ),
            seed=0,
        )
        return [replace(run, seed=seed) for seed in self.seeds]

    def _task(self, preset: Preset) -> Task:
        task = Text(file=self.file) if isinstance(preset.task, Text) else preset.task
        return configure(task, self.settings)

    def _model(self, preset: Preset, task: Task, stack: str, largest: int) -> ModelConfig:
        positions = chosen(self.positions, preset.positions)
        return ModelConfig(
            vocabulary=task.vocabulary(largest),
            channels=task.channels if isinstance(task, VectorTask) else None,
            width=chosen(self.width, preset.width),
            stack=stack,
            depth=chosen(self.depth, preset.depth),
            positions=positions,
            max_length=task.length(largest) if positions == "learned" else None,
            expansion=chosen(self.expansion, preset.expansion),
            conv=chosen(self.conv, preset.conv),
            feed_forward=preset.feed_forward,
            norm=preset.norm,
        )

    def _training(self, preset: Preset, sizes: tuple[int, ...]) -> TrainingConfig:
        return TrainingConfig(
            sizes=sizes,
            steps=chosen(self.steps, preset.steps),
            time=None if self.time is None else seconds_of(self.time),
            batch_size=chosen(self.batch_size, preset.batch_size),
            learning_rate=chosen(self.learning_rate, preset.learning_rate),
            warmup=preset.warmup,
            weight_decay=preset.weight_decay,
            evaluate_every=preset.evaluate_every,
            solved_at=preset.solved_at,
        )


def chosen(asked: V | None, preset: V) -> V:
    """What was asked for, or else what the preset says."""
    return preset if asked is None else asked
