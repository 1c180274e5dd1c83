"""A comparison: every model on every task at every learning rate with every seed, as a list of run configurations."""

from dataclasses import dataclass, replace
from typing import TypeVar

from tyro.conf import Positional

from statewise.constructions import build
from statewise.core.dotted import is_dotted
from statewise.core.durations import seconds_of
from statewise.core.errors import UsageError, pick
from statewise.mixers import find_mixer
from statewise.models import ModelConfig, parse_stack
from statewise.search import ANSWERS
from statewise.studies.constructed import constructions_for, initial_of
from statewise.studies.corpus_options import CorpusOptions
from statewise.studies.equal_parameters import at_parameters, count_parameters
from statewise.studies.presets import PRESETS, Preset, of_ones_own
from statewise.studies.run_config import EvaluationConfig, Initial, RunConfig
from statewise.tasks import (
    TASKS,
    IndexLookup,
    Task,
    Text,
    VectorTask,
    configure,
    import_task,
    require_own_rule,
)
from statewise.training import TrainingConfig

V = TypeVar("V")

DIRECT = "direct"

FREE_EXAMPLES = 256
"""Sequences that are run freely at each size: token by token, they take as long as many batches of training."""


@dataclass(frozen=True, kw_only=True)
class Comparison(CorpusOptions):
    """Models on tasks, with seeds. None means the task's preset (`statewise.studies.PRESETS`)."""

    tasks: Positional[tuple[str, ...]] = ("index-lookup", "parity")
    """Tasks by name, such as index-lookup, mqar, selective-copying, permutations, text: `statewise.tasks.TASKS`. A task
    of your own is a dotted path, as in my_module:MyTask, and goes with sizes."""
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
    parameters: int | None = None
    """Parameters of every model, in place of width: each gets the width at which it comes nearest. Models that are
    compared on text get as many as the first has at the preset's width, and equally many layers."""
    expansion: int | None = None
    """Inner width of mixers that have one as a multiple of the width; default each mixer's own."""
    conv: int | None = None
    """Taps of a short causal convolution before each mixer; 0 leaves it out."""
    positions: str | None = None
    """none, learned or rope."""
    batch_size: int | None = None
    """Sequences in a step."""
    learning_rates: tuple[float, ...] | None = None
    """Peak learning rates to try; for each model the one that does best on the validation split is reported."""
    precision: str = "full"
    """In which a step computes: full, bf16-autocast or bf16-weights. The measurements at the end are in full."""
    answer: str = "direct"
    """direct, or step by step: chain-of-thought (thinking aloud) or retrieval (searching the context by regular
    expressions; needs the extra `search`), for is-tree, index-lookup, associative-recall, c-gram-retrieval and
    counting. Models then train on whole traces and are run freely: from the prompt alone, with real searches."""
    settings: tuple[str, ...] = ()
    """Settings of the task as name=value, as in alphabet=16 queries=4; with a single task."""
    constructed: bool = False
    """List beside the models every construction that solves the task, as it is: what training leaves on the table."""
    init: str | None = None
    """construction:NAME, to train from its weights, in place of models."""
    rounding: str | None = None
    """float32, bfloat16 or float16: the dtype that the weights of `init` are rounded to first."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise on the weights of `init`, as a share of each tensor's root mean square."""

    def plan(self) -> list[RunConfig]:
        """Every run, tasks outermost, then models, learning rates and seeds.

        Whatever cannot be asked is a UsageError here, and so is a task of one's own that breaks its own rule.
        """
        named = {"tasks": self.tasks, "models": self.models, "seeds": self.seeds}
        named |= {"sizes": chosen(self.sizes, (1,)), "train_sizes": chosen(self.train_sizes, (1,))}
        named |= {"learning_rates": chosen(self.learning_rates, (1,))}
        for kind, asked in named.items():
            if not asked:
                raise UsageError(f"compare: there are no {kind}; name at least one")
            if len(set(asked)) != len(asked):
                raise UsageError(f"compare: {kind} are named twice in {' '.join(map(str, asked))}")
        if "text" not in self.tasks:
            for option, value in self.corpus_settings().items():
                said = " ".join(value) if isinstance(value, tuple) else value
                raise UsageError(f"compare: {option} is {said}, which only the task text reads; add text to the tasks")
        if self.settings and len(self.tasks) > 1:
            raise UsageError(f"compare: settings go with a single task, and there are {len(self.tasks)}")
        if self.steps == 0 and self.init is None:
            raise UsageError("compare: steps is 0, which trains nothing; it must be at least 1, unless init is named")
        if self.parameters is not None and (self.width is not None or self.init is not None):
            raise UsageError(
                f"compare: parameters is {self.parameters}, which decides the width; it goes without width and init"
            )
        if self.init is None and (self.noise or self.rounding):
            raise UsageError(
                f"compare: noise is {self.noise} and rounding is {self.rounding}, which go on the weights of init, and "
                "none is named"
            )
        pick("answer", self.answer, {DIRECT: None, **ANSWERS})
        for stack in self.models:
            parse_stack(stack)
        return [run for name in self.tasks for run in self._runs(name)]

    def _runs(self, name: str) -> list[RunConfig]:
        preset = preset_of(name)
        task = self._task(preset)
        sizes = chosen(self.sizes, preset.sizes)
        train_sizes = chosen(self.train_sizes, preset.train_sizes if self.sizes is None else None) or sizes
        if not sizes:
            raise UsageError(f"compare: {name} is a task of your own, for which no sizes are preset; name some: sizes")
        own = is_dotted(name)
        for size in sorted({*sizes, *train_sizes}):
            task.check_size(size)
            if own and task.measure != "nats":
                require_own_rule(task, size)
        largest = max(*sizes, *train_sizes, 1)
        bare = RunConfig(
            task={**task.identity(), **({"class": name.replace(":", ".")} if own else {})},
            model=self._model(preset, task, self.models[0], largest),
            training=self._training(preset, train_sizes),
            evaluation=EvaluationConfig(
                sizes=sizes,
                examples=FREE_EXAMPLES if task.step_by_step else preset.examples,
                strings=preset.strings if type(task) is IndexLookup else 0,
            ),
            seed=0,
        )
        trained = [
            replace(run, training=replace(run.training, learning_rate=rate), seed=seed)
            for run in self._first(bare, preset, task, largest)
            for rate in chosen(self.learning_rates, (preset.learning_rate,))
            for seed in self.seeds
        ]
        written = self._written(bare, task, sizes) if self.constructed else []
        return trained + [replace(run, seed=seed) for run in written for seed in self.seeds]

    def _first(self, bare: RunConfig, preset: Preset, task: Task, largest: int) -> list[RunConfig]:
        """A run for each model, or the one that starts from a construction."""
        if self.init is None:
            return [replace(bare, model=self._model(preset, task, stack, largest)) for stack in self.models]
        initial = initial_of(self.init, task, largest, rounding=self.rounding, noise=self.noise)
        return [replace(bare, model=build(initial.construction, **initial.arguments).model.config, initial=initial)]

    def _written(self, bare: RunConfig, task: Task, sizes: tuple[int, ...]) -> list[RunConfig]:
        """A run without training for each construction that solves the task."""
        return [
            replace(
                bare,
                model=construction.model.config,
                training=replace(bare.training, steps=0, time=None),
                evaluation=replace(bare.evaluation, sizes=asked),
                initial=Initial(construction=construction.name, arguments=construction.arguments),
            )
            for construction, asked in constructions_for(task, sizes)
        ]

    def _task(self, preset: Preset) -> Task:
        text = isinstance(preset.task, Text)
        task = self.text(chosen(self.batch_size, preset.batch_size)) if text else preset.task
        task = configure(task, self.settings)
        if task.num_streams():
            require_carried(self.models, chosen(self.positions, preset.positions), self.precision)
        return task if self.answer == DIRECT else ANSWERS[self.answer](task)

    def _model(self, preset: Preset, task: Task, stack: str, largest: int) -> ModelConfig:
        config = self._at_width(preset, task, stack, largest)
        if self.parameters is not None:
            return at_parameters(config, self.parameters)
        if self._matches(preset):
            first = self._at_width(preset, task, self.models[0], largest)
            return at_parameters(config, count_parameters(first)) if config != first else first
        return config

    def _matches(self, preset: Preset) -> bool:
        """Whether models are made equally large, since nobody says how large."""
        return preset.equal_parameters and len(self.models) > 1 and self.width is None and self.depth is None

    def _at_width(self, preset: Preset, task: Task, stack: str, largest: int) -> ModelConfig:
        layers = parse_stack(stack)
        attends = not all(find_mixer(name).recurrent for name in layers)
        at_preset = preset.attention_positions if attends and preset.attention_positions else preset.positions
        positions = chosen(self.positions, at_preset)
        depth = max(1, preset.depth // len(layers)) if self._matches(preset) else preset.depth
        return ModelConfig(
            vocabulary=task.vocabulary(largest),
            channels=task.channels if isinstance(task, VectorTask) else None,
            width=chosen(self.width, preset.width),
            stack=stack,
            depth=chosen(self.depth, depth),
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
            warmup=preset.warmup,
            weight_decay=preset.weight_decay,
            precision=self.precision,
            evaluate_every=preset.evaluate_every,
            solved_at=preset.solved_at,
        )


def require_carried(stacks: tuple[str, ...], positions: str, precision: str) -> None:
    """Raise a UsageError for a model whose state cannot be carried through a whole corpus."""
    if precision != "full":
        raise UsageError(
            f"compare: carry_state carries a state in full precision, and precision is {precision}; leave one of them "
            "out"
        )
    growing = [stack for stack in stacks if not all(find_mixer(name).recurrent for name in parse_stack(stack))]
    if growing or positions == "learned":
        which = f"the state of {growing[0]} grows with every token" if growing else "learned positions come to an end"
        raise UsageError(
            f"compare: carry_state carries a state through the whole corpus, and {which}; leave it out, or take "
            "recurrent layers alone, without learned positions"
        )


def preset_of(name: str) -> Preset:
    """The settings for a task by its name or, of one's own, by its dotted path. A UsageError where there is none."""
    return of_ones_own(import_task(name)) if is_dotted(name) else PRESETS[pick("task", name, TASKS).name]


def chosen(asked: V | None, preset: V) -> V:
    """What was asked for, or else what the preset says."""
    return preset if asked is None else asked
