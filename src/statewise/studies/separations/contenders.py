"""The models of the separations, each in every setting that is tried, and how they are trained.

Source: Bhattamishra, Hahn, Blunsom, Kanade, arXiv 2406.09347, appendix on experiments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from statewise.mixers import find_mixer
from statewise.models import ModelConfig, parse_stack
from statewise.studies.run_config import EvaluationConfig, RunConfig
from statewise.tasks import Task
from statewise.training import TrainingConfig

RATES = (1e-2, 5e-3, 1e-3, 5e-4, 1e-4, 5e-5, 1e-6)
STEPS = 250_000
EXAMPLES = 5000
"""The paper's grid of learning rates, its most steps, and its test examples."""

SMALL_HEAD = 16
"""Channels of an attention head where no number of heads is published for the scale."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One curve: a kind of model, in every setting that is tried. Settings are fields of `ModelConfig`."""

    label: str
    settings: tuple[dict[str, Any], ...]

    @property
    def recurrent(self) -> bool:
        """Whether the state of the first setting has the same size at every length."""
        return all(find_mixer(layer).recurrent for layer in parse_stack(self.settings[0]["stack"]))


def transformer(label: str, *, layers: int, width: int, heads: Sequence[int]) -> Contender:
    """A Transformer with learned positions, as GPT-2: in as many settings as there are numbers of heads."""
    return Contender(label=label, settings=tuple(with_heads("attention", layers, width, count) for count in heads))


def with_heads(mixer: str, layers: int, width: int, heads: int) -> dict[str, Any]:
    """A stack of one mixer with this many heads, learned positions and feed-forward layers."""
    return {
        "stack": mixer,
        "depth": layers,
        "width": width,
        "positions": "learned",
        "norm": "layer",
        "mixer_settings": (f"head_size={width // heads}",),
    }


def bare(mixer: str, layers: int, width: int) -> dict[str, Any]:
    """A stack of one recurrent mixer without feed-forward layers and without positions."""
    return {"stack": mixer, "depth": layers, "width": width, "feed_forward": 0}


def recurrent(mixer: str, depths: Sequence[int], widths: Sequence[int], heads: Sequence[int] = ()) -> Contender:
    """A recurrent model in every setting; one with heads has positions and feed-forward layers, as a Transformer."""
    settings = (
        [with_heads(mixer, layers, width, count) for layers, width, count in product(depths, widths, heads)]
        if heads
        else [bare(mixer, layers, width) for layers, width in product(depths, widths)]
    )
    return Contender(label=LABELS[mixer], settings=tuple(settings))


LABELS = {
    "lstm": "LSTM",
    "mamba": "Mamba",
    "s4d": "S4D (for DSS)",
    "linear-attention": "linear Transformer",
    "retention": "RetNet",
}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How every model of a scale is trained and asked.

    rates     learning rates that are tried
    examples  of the test split, and as many of the validation split, at the one size that is asked
    """

    steps: int
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    batch_size: int = 64
    warmup: int = 50
    schedule: str = "cosine"
    clip: float = 1.0
    evaluate_every: int = 50
    validation: int = 128
    examples: int = 512


PAPER = Budget(
    steps=STEPS,
    rates=RATES,
    seeds=(0, 1, 2),
    warmup=0,
    schedule="constant",
    clip=1e9,
    evaluate_every=1000,
    validation=1000,
    examples=EXAMPLES,
)


def runs_of(budget: Budget, contender: Contender, task: Task, *, sizes: Sequence[int], size: int) -> list[RunConfig]:
    """One contender in every setting with every seed, trained on `sizes` and asked at `size`, the largest of them."""
    models = [
        ModelConfig(
            vocabulary=task.vocabulary(size),
            max_length=task.length(size) if settings.get("positions") == "learned" else None,
            **settings,
        )
        for settings in contender.settings
    ]
    trainings = [training_of(budget, rate, sizes) for rate in budget.rates]
    evaluation = EvaluationConfig(sizes=(size,), examples=budget.examples, strings=0)
    identity = task.identity()
    return [
        RunConfig(task=identity, model=model, training=training, evaluation=evaluation, seed=seed)
        for model, training, seed in product(models, trainings, budget.seeds)
    ]


def training_of(budget: Budget, rate: float, sizes: Sequence[int]) -> TrainingConfig:
    """How a model is trained at one learning rate."""
    return TrainingConfig(
        sizes=tuple(sizes),
        steps=budget.steps,
        batch_size=budget.batch_size,
        learning_rate=rate,
        warmup=budget.warmup,
        schedule=budget.schedule,
        weight_decay=0.0,
        clip=budget.clip,
        evaluate_every=budget.evaluate_every,
        validation=budget.validation,
    )
