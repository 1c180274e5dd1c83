"""What `translate train` can be asked: parallel files, models and a budget, as a list of run configurations."""

from dataclasses import dataclass, replace

import torch

from statewise.core.durations import seconds_of
from statewise.core.errors import UsageError
from statewise.models import EncoderDecoderConfig, build_model
from statewise.studies.run_config import EvaluationConfig, RunConfig
from statewise.studies.translation.scores import sacrebleu
from statewise.tasks import Translation
from statewise.training import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class ParallelTraining:
    """Encoder–decoders on parallel text. The defaults are for tens of thousands of short sentences on two cores."""

    source: str
    """File with a sentence in each line, gzipped or not, or with `source<TAB>target` where no target is named."""
    target: str | None = None
    """File with their translations."""
    validation_source: str | None = None
    """The same for validation; without it, the last fiftieth of the training part."""
    validation_target: str | None = None
    """Its translations."""
    test_source: str | None = None
    """The same for the report; without it, the last tenth of the training files."""
    test_target: str | None = None
    """Its translations."""
    models: tuple[str, ...] = ("mingru*2",)
    """Stacks of the decoder: mixers joined by +, each with an optional count, as in mingru*2+attention."""
    encoder: str | None = None
    """Stack of the encoder; default the decoder's. Attention sees the whole source, other mixers stand for two, one
    from each end."""
    bridge: tuple[str, ...] = ("attention",)
    """What crosses: attention (to the encoder's outputs at every token), state (its final state alone), or both."""
    pieces: int = 4000
    """The most that the byte-level BPE vocabulary of both sides may have."""
    size: int = 64
    """Longer training pairs, in pieces on either side, are left out."""
    width: int = 128
    """Channels between blocks."""
    feed_forward: int = 2
    """Inner width of the feed-forwards, as a multiple of the width."""
    positions: str | None = None
    """none, learned or rope; default rope where there is attention in a stack, else none."""
    dropout: float = 0.1
    """Share of what each branch adds that is dropped in training."""
    label_smoothing: float = 0.1
    """Share of a target's probability that training spreads evenly."""
    steps: int = 4000
    """Training budget in optimiser steps."""
    time: str | None = None
    """Training budget in wall time instead (90s, 5m, 1h): the schedule is laid over it."""
    batch_size: int = 64
    """Pairs in a step."""
    learning_rate: float = 4e-3
    """Peak of the schedule."""
    seeds: tuple[int, ...] = (0,)
    """One run for each."""

    def plan(self) -> list[RunConfig]:
        """Every run: models outermost, then bridges and seeds. Whatever cannot be asked is a UsageError here."""
        sacrebleu()
        for kind, asked in {"models": self.models, "bridge": self.bridge, "seeds": self.seeds}.items():
            if not asked or len(set(asked)) != len(asked):
                raise UsageError(f"translate: {kind} are {' '.join(map(str, asked)) or 'none'}; name each once")
        task = self.task()
        task.check_size(self.size)
        vocabulary = task.vocabulary(self.size)
        return [
            replace(self._run(task, self.model(stack, bridge, vocabulary)), seed=seed)
            for stack in self.models
            for bridge in self.bridge
            for seed in self.seeds
        ]

    def task(self) -> Translation:
        """What the runs learn."""
        return Translation(
            source=self.source,
            target=self.target,
            validation_source=self.validation_source,
            validation_target=self.validation_target,
            test_source=self.test_source,
            test_target=self.test_target,
            pieces=self.pieces,
            label_smoothing=self.label_smoothing,
        )

    def model(self, stack: str, bridge: str, vocabulary: int) -> EncoderDecoderConfig:
        """The model of one run."""
        attends = "attention" in stack or "attention" in (self.encoder or "")
        positions = self.positions or ("rope" if attends else "none")
        config = EncoderDecoderConfig(
            vocabulary=vocabulary,
            width=self.width,
            stack=stack,
            encoder=self.encoder,
            bridge=bridge,
            positions=positions,
            max_length=LONGEST * self.size if positions == "learned" else None,
            feed_forward=self.feed_forward,
            dropout=self.dropout,
        )
        # Without memory or time: a bridge that such a model cannot have is known before anything is trained.
        with torch.device("meta"):
            build_model(config)
        return config

    def _run(self, task: Translation, model: EncoderDecoderConfig) -> RunConfig:
        return RunConfig(
            task=task.identity(),
            model=model,
            training=TrainingConfig(
                sizes=(self.size,),
                steps=self.steps,
                time=None if self.time is None else seconds_of(self.time),
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                warmup=100,
                evaluate_every=500,
                validation=500,
                solved_at=None,
            ),
            evaluation=EvaluationConfig(sizes=(self.size,), examples=None, strings=0),
            seed=0,
        )


LONGEST = 4
"""Times the size that learned positions reach: no pair of validation or test is left out."""
