"""One run from configuration to record: build, train, measure, store."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from statewise.capacity import count_state_bits, read_index_lookup
from statewise.constructions import build
from statewise.core.config import to_plain
from statewise.core.disk import is_full
from statewise.core.events import Noted, Sink, Tee
from statewise.core.listeners import RunInfo, listening
from statewise.core.random import child_seed, seeded
from statewise.mixers import find_mixer
from statewise.models import EncoderDecoder, LanguageModel, Model, Trainable, build_model, save_model
from statewise.runs import Record, Result, RunFolder, RunStore
from statewise.runs.record import FreeRunning, Validation
from statewise.search import Traced, answer_accuracy, run_freely
from statewise.studies.environment import environment, watch_memory
from statewise.studies.keeper import RunKeeper
from statewise.studies.run_config import ROUNDINGS, RunConfig
from statewise.studies.threads import threads
from statewise.studies.translation.scores import sacrebleu, score_test
from statewise.tasks import IndexLookup, PackedText, Task, Translation, from_identity
from statewise.tasks.packed_text import BYTES
from statewise.training import Group, Outcome, evaluate, train
from statewise.training.group import ALONE

EXAMPLES_TO_COUNT = 8
"""Sequences whose states are compared to tell position counters, alike in all of them, from content."""


def execute(config: RunConfig, store: RunStore, sink: Sink, *, group: Group = ALONE) -> Record:
    """Train and measure one model, and keep the run folder. The record says finished or diverged, or failed: no space.

    What an interrupted process left of this run is taken up; where another is at it, its record is waited for. An
    exception leaves nothing behind but what was there before, and the checkpoints.

    group  processes that train it together; this is the main one, and the others call `assist`
    """
    about = RunInfo(name=config.name, title=config.title, config=to_plain(config), root=store.root)

    def note(text: str) -> None:
        sink.write(Noted(text=text))

    with threads(torch.get_num_threads()):
        try:
            with store.begin(config, note=note) as folder:
                group.of_main(folder.earlier is None)
                if folder.earlier is not None:
                    return folder.earlier
                every = store.checkpoint_every
                with listening(store.sinks, about, note=note) as listeners:
                    return carry_out(config, folder, Tee(sink, listeners), checkpoint_every=every, group=group)
        except Exception as error:
            if not is_full(error):
                raise
            return fail(config, store)


def assist(config: RunConfig, group: Group) -> None:
    """Train the model that the main process executes, as one of the others."""
    if group.of_main(0):
        task, model = from_identity(config.task), initial_model(config)
        with seeded(child_seed(config.seed, "training", group.rank)):
            train(model, task, config.training, seed=config.seed, sink=Tee(), group=group)


def carry_out(
    config: RunConfig, folder: RunFolder, sink: Sink, *, checkpoint_every: float, group: Group = ALONE
) -> Record:
    """Train and measure in a folder, from where it was left, and finish it."""
    task, model = from_identity(config.task), initial_model(config)
    if isinstance(task, Translation):
        sacrebleu()
    repeatable, sinks = config.training.time is None, Tee(folder, sink)
    keeper = RunKeeper(folder, every=checkpoint_every, repeatable=repeatable, sink=sink, division=group.division)
    watch_memory()
    # A mixer of one's own may draw random numbers while it trains, and even while it is measured.
    with seeded(child_seed(config.seed, "training")):
        outcome = train(model, task, config.training, seed=config.seed, sink=sinks, keeper=keeper, group=group)
    results: tuple[Result, ...] = ()
    if outcome.status == "finished":
        with seeded(child_seed(config.seed, "measuring")):
            results = tuple(measure_all(model, task, config))
        save_model(model, folder.model)
        if isinstance(task, PackedText) and task.tokenizer != BYTES:
            folder.tokenizer.write_text(task.byte_pairs().text, encoding="utf-8")
        if isinstance(task, Translation):
            task.subwords().save(folder.tokenizer)
    record = Record(
        config=folder.config,
        status=outcome.status,
        because=outcome.because,
        facts=facts_of(model),
        results=results,
        training=summary_of(outcome, config) | keeper.summary() | {"division": group.division},
        environment=environment(),
    )
    folder.finish(record)
    return record


def fail(config: RunConfig, store: RunStore) -> Record:
    """The record of a run that the disk had no space for. It is kept if there is space for that."""
    because = f"no space left in {store.root}: free some, and the same command goes on from there"
    record = Record(config=to_plain(config), status="failed", because=because)
    with suppress(OSError), store.begin(config) as folder:
        folder.finish(record)
    return record


def initial_model(config: RunConfig) -> Model:
    """The model that training starts from: random, or a construction's, rounded and with noise on it."""
    if config.initial is None:
        with seeded(child_seed(config.seed, "weights")):
            return build_model(config.model)
    model = build(config.initial.construction, **config.initial.arguments).model
    generator = torch.Generator().manual_seed(child_seed(config.seed, "noise"))
    rounding = config.initial.rounding
    with torch.no_grad():
        for parameter in model.parameters():
            if rounding is not None:
                parameter.copy_(parameter.to(ROUNDINGS[rounding]))
            scale = config.initial.noise * parameter.square().mean().sqrt()
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return model


def measure_all(model: Trainable, task: Task, config: RunConfig) -> list[Result]:
    """Score the test and the validation split and read the state at every size."""
    return [measure_one(model, task, config, size) for size in config.evaluation.sizes]


def measure_one(model: Trainable, task: Task, config: RunConfig, size: int) -> Result:
    """Accuracy, loss, state bits and, for index lookup, recovered bits at one size."""
    plan = config.evaluation
    score, validation = (
        evaluate(model, task, split=split, size=size, examples=plan.examples, seed=config.seed)
        for split in ("test", "validation")
    )
    held, counters = state_bits_at_cut(model, task, size, config.seed)
    result = Result(
        size=size,
        loss=score.loss,
        token_accuracy=score.token_accuracy,
        sequence_accuracy=score.sequence_accuracy,
        sequences=score.sequences,
        state_bits=held,
        counter_bits=counters,
        validation=Validation(
            loss=validation.loss,
            token_accuracy=validation.token_accuracy,
            sequence_accuracy=validation.sequence_accuracy,
            loss_per_byte=validation.loss_per_byte,
        ),
        loss_per_byte=score.loss_per_byte,
    )
    if isinstance(task, Traced) and isinstance(model, LanguageModel):
        return replace(result, free=measure_freely(model, task, config, size))
    if isinstance(task, Translation) and isinstance(model, EncoderDecoder):
        return replace(result, translation=score_test(model, task, score.loss, examples=plan.examples))
    if plan.strings == 0 or not isinstance(task, IndexLookup) or not isinstance(model, LanguageModel):
        return result
    reading = read_index_lookup(model, task, size, strings=plan.strings, seed=config.seed, among=len(plan.sizes))
    return replace(result, recovered_bits=reading.recovered_bits, recovered_at_least=reading.at_least)


def measure_freely(model: LanguageModel, task: Traced, config: RunConfig, size: int) -> FreeRunning:
    """The model on its own with the prompts of the test split, and the answer alone under teacher forcing."""
    examples, seed = config.evaluation.examples, config.seed
    assert examples is not None, "examples of traces are drawn without end"
    free = run_freely(model, task, split="test", size=size, examples=examples, seed=seed)
    forced = answer_accuracy(model, task, split="test", size=size, examples=examples, seed=seed)
    return FreeRunning(**vars(free), forced=forced, sequences=examples)


@torch.no_grad()
def state_bits_at_cut(model: Trainable, task: Task, size: int, seed: int) -> tuple[int, int]:
    """State bits and counter bits carried for one sequence after the task's cut, from the tensors themselves."""
    count = min(EXAMPLES_TO_COUNT, task.num_examples("test", size) or EXAMPLES_TO_COUNT)
    tokens = task.examples("test", seed=seed, start=0, count=count, size=size).tokens
    _, state = model(tokens[:, : task.cut(size)])
    return count_state_bits(state)


def facts_of(model: Trainable) -> dict[str, Any]:
    """What bounds ask of a stack."""
    mixers = [find_mixer(name) for name in model.config.layers]
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "recurrent": all(mixer.recurrent for mixer in mixers),
        # A convolution mixes a few tokens before the recurrence sees them: the theorem's stacks have none.
        "non_negative_decay": all(mixer.non_negative_decay for mixer in mixers) and not model.config.conv,
    }


def summary_of(outcome: Outcome, config: RunConfig) -> dict[str, Any]:
    """Training's cost, and on which kind of budget it was spent."""
    return {
        "steps": outcome.step,
        "tokens": outcome.tokens,
        "seconds": outcome.seconds,
        "tokens_per_second": outcome.tokens_per_second,
        "budget": "steps" if config.training.time is None else "wall-clock",
    }
