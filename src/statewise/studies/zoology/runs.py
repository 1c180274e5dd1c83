"""The runs of `zoology-mqar`: every mixer at every width and length, as in the published code's configurations.

Source: Arora et al., arXiv 2312.04927, appendix, and `experiments/paper_configs/iclr24_zoology_figure2` of its code.
"""

from dataclasses import dataclass

from statewise.models import ModelConfig
from statewise.studies.run_config import EvaluationConfig, RunConfig
from statewise.tasks import MQAR
from statewise.training import TrainingConfig

ATTENTION = "attention"
MIXERS = (ATTENTION, "rwkv4", "mamba")

STOPS_AT = 0.99
"""Accuracy on the validation split that ends training, as in the published code."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One column of the figure: n pairs in so many tokens, and how a model is trained on them."""

    length: int
    pairs: int
    batch_size: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the study is.

    vocabulary  ids: the blank, keys, and one value more than keys
    """

    points: tuple[Point, ...]
    widths: tuple[int, ...]
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    vocabulary: int
    weight_decay: float
    warmup: int
    clip: float
    solved_at: float
    examples: int
    validation: int
    evaluate_every: int


def steps_of(epochs: int, examples: int, batch_size: int) -> int:
    """Optimiser steps in so many passes over so many examples, the last batch of each being smaller.

    >>> steps_of(64, 100_000, 512)
    12544
    """
    return epochs * -(-examples // batch_size)


def published_point(length: int, pairs: int, batch_size: int) -> Point:
    """A point at the published budget: 64 passes over 100,000 sequences."""
    return Point(length=length, pairs=pairs, batch_size=batch_size, steps=steps_of(64, 100_000, batch_size))


SCALES = {
    "smoke": Scale(
        points=(Point(length=8, pairs=2, batch_size=4, steps=2),),
        widths=(4, 8),
        rates=(3e-3,),
        seeds=(0,),
        vocabulary=16,
        weight_decay=0.1,
        warmup=0,
        clip=1.0,
        solved_at=STOPS_AT,
        examples=8,
        validation=8,
        evaluate_every=10,
    ),
    "small": Scale(
        points=(
            Point(length=16, pairs=4, batch_size=64, steps=500),
            Point(length=32, pairs=8, batch_size=64, steps=500),
        ),
        widths=(16, 32, 64),
        rates=(5e-3,),
        seeds=(0, 1, 2),
        vocabulary=256,
        weight_decay=0.1,
        warmup=50,
        clip=1.0,
        solved_at=STOPS_AT,
        examples=512,
        validation=128,
        evaluate_every=50,
    ),
    "paper": Scale(
        points=(
            published_point(64, 4, 512),
            published_point(128, 8, 512),
            published_point(256, 16, 256),
            published_point(512, 64, 128),
        ),
        widths=(64, 128, 256, 512),
        rates=(1e-4, 10**-3.3333333333333335, 10**-2.6666666666666665, 1e-2),
        seeds=(0, 1, 2),
        vocabulary=8192,
        weight_decay=0.1,
        warmup=0,
        clip=1e9,
        solved_at=STOPS_AT,
        examples=3000,
        validation=3000,
        evaluate_every=196,
    ),
}


def task_of(asked: Scale, point: Point) -> MQAR:
    """Half of the ids are values, the other half the blank and the keys; the rest of a sequence is blank."""
    half = asked.vocabulary // 2
    return MQAR(keys=half - 1, values=half, tokens_per_pair=point.length // point.pairs, power=0.01, filler="blank")


def model_of(asked: Scale, point: Point, mixer: str, width: int) -> ModelConfig:
    """Two layers without feed-forward; attention alone has one head and learned positions."""
    attending = mixer == ATTENTION
    return ModelConfig(
        vocabulary=asked.vocabulary,
        width=width,
        stack=mixer,
        depth=2,
        feed_forward=0,
        norm="layer",
        positions="learned" if attending else "none",
        max_length=point.length if attending else None,
        mixer_settings=(f"head_size={width}",) if attending else (),
    )


def runs_of(asked: Scale, point: Point, mixer: str, width: int) -> list[RunConfig]:
    """One model at one point, at every rate with every seed."""
    return [
        RunConfig(
            task=task_of(asked, point).identity(),
            model=model_of(asked, point, mixer, width),
            training=TrainingConfig(
                sizes=(point.pairs,),
                steps=point.steps,
                batch_size=point.batch_size,
                learning_rate=rate,
                warmup=asked.warmup,
                weight_decay=asked.weight_decay,
                clip=asked.clip,
                evaluate_every=asked.evaluate_every,
                validation=asked.validation,
                solved_at=asked.solved_at,
            ),
            evaluation=EvaluationConfig(sizes=(point.pairs,), examples=asked.examples, strings=0),
            seed=seed,
        )
        for rate in asked.rates
        for seed in asked.seeds
    ]


def plan(scale: str) -> list[RunConfig]:
    """Every run, the long and wide ones first."""
    asked = SCALES[scale]
    return [
        run
        for point in reversed(asked.points)
        for width in reversed(asked.widths)
        for mixer in MIXERS
        for run in runs_of(asked, point, mixer, width)
    ]
