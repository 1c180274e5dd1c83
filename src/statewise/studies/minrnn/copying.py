"""The runs on selective copying that several studies share: one function, so that equal runs have equal names."""

from collections.abc import Sequence
from dataclasses import dataclass

from statewise.models import ModelConfig
from statewise.studies.minrnn.known import SMALLER
from statewise.studies.run_config import EvaluationConfig, RunConfig
from statewise.studies.study import TOO_SHORT, Trained
from statewise.tasks import SelectiveCopying
from statewise.training import TrainingConfig

EXPANDED = ("mingru", "minlstm")
"""Mixers whose inner width the paper sets; others keep their own."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the task, the models and their training are.

    size     places of blanks and data together
    examples of either split that a trained model is scored on
    """

    size: int
    data: int
    width: int
    expansion: int
    dropout: float
    steps: int
    batch_size: int
    rate: float
    warmup: int
    schedule: str
    evaluate_every: int
    validation: int
    examples: int
    seeds: tuple[int, ...]
    symbols: int = 14

    @property
    def task(self) -> SelectiveCopying:
        """The task in the layout of the paper's code."""
        return SelectiveCopying(data=self.data, symbols=self.symbols, layout="minrnn")


SCALES = {
    "smoke": Scale(
        size=8,
        data=2,
        width=8,
        expansion=2,
        dropout=0.0,
        steps=4,
        batch_size=4,
        rate=3e-3,
        warmup=1,
        schedule="cosine",
        evaluate_every=2,
        validation=8,
        examples=8,
        seeds=(0,),
    ),
    "small": Scale(
        size=32,
        data=8,
        width=64,
        expansion=2,
        dropout=0.0,
        steps=1600,
        batch_size=32,
        rate=3e-3,
        warmup=100,
        schedule="cosine",
        evaluate_every=100,
        validation=256,
        examples=1024,
        seeds=(0, 1, 2),
    ),
    "paper": Scale(
        size=4096,
        data=16,
        width=64,
        expansion=6,
        dropout=0.1,
        steps=400_000,
        batch_size=64,
        rate=1e-4,
        warmup=0,
        schedule="constant",
        evaluate_every=1000,
        validation=256,
        examples=12_800,
        seeds=(0, 1, 2),
    ),
}

NOTES = (
    "Accuracy is per symbol, as in the authors' code, on the test split.",
    "At paper, the prose's Adam at 1e-4 (no weight decay), batches of 64 (theirs: two of 32, accumulated), "
    "dropout 0.1, gradients clipped at 1; a fork of the code has AdamW at 3e-4 with weight decay 0.05. Training "
    "ends early where 99.9 % of validation sequences are right; the paper stops early too, by a rule that is not "
    "known.",
    "Blocks are the recurrence alone on a residual, no convolution and no feed-forward, as the paper says. Ours: "
    "RMSNorm before it, dropout on what it adds to the residual, Adam's second moment over 0.98, three seeds.",
    "At small, 8 of 32 places hold data (the paper: 16 of 4,096), expansion is 2 (6), and 1,600 steps of 32 are "
    "made at 3e-3 with cosine decay (400,000 of 64).",
)


def copying_run(scale: str, mixer: str, layers: int, seed: int, *settings: str) -> RunConfig:
    """A stack of one mixer, trained and scored at the scale's one size. `settings` are the mixer's."""
    asked = SCALES[scale]
    return RunConfig(
        task=asked.task.identity(),
        model=ModelConfig(
            vocabulary=asked.task.vocabulary(asked.size),
            width=asked.width,
            stack=f"{mixer}*{layers}",
            expansion=asked.expansion if mixer in EXPANDED else None,
            feed_forward=0,
            dropout=asked.dropout,
            mixer_settings=settings,
        ),
        training=TrainingConfig(
            sizes=(asked.size,),
            steps=asked.steps,
            batch_size=asked.batch_size,
            learning_rate=asked.rate,
            warmup=asked.warmup,
            schedule=asked.schedule,
            weight_decay=0.0,
            evaluate_every=asked.evaluate_every,
            validation=asked.validation,
        ),
        evaluation=EvaluationConfig(sizes=(asked.size,), examples=asked.examples, strings=0),
        seed=seed,
    )


def copying_runs(scale: str, mixer: str, layers: int, *settings: str) -> list[RunConfig]:
    """The same with every seed of the scale."""
    return [copying_run(scale, mixer, layers, seed, *settings) for seed in SCALES[scale].seeds]


def accuracies(trained: Trained, runs: Sequence[RunConfig]) -> dict[int, float]:
    """Accuracy per symbol on the test split, by seed, of the runs that finished."""
    return {run.seed: trained.token_accuracy(run) for run in trained.finished(runs)}


def incomparable(scale: str) -> str:
    """Why accuracies of a scale are not compared with the paper's; empty at `paper`."""
    return {"smoke": TOO_SHORT, "small": SMALLER}.get(scale, "")
