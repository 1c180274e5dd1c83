"""One mixer between two linear maps, as the paper's layers are: its configuration, and how it is trained.

    z = E x + b        u = z + mixer(z)        y = H u

The width is at least the channels of a token and of an answer together: E can then leave some channels free for what
the mixer says, and H can read those alone, so that the residual costs nothing.
"""

from statewise.models import ModelConfig
from statewise.studies.run_config import EvaluationConfig, RunConfig
from statewise.tasks import VectorTask
from statewise.training import TrainingConfig

BATCH_SIZE = 64
WARMUP = 50
EXAMPLES = 1024


def bare_layer(task: VectorTask, stack: str, *settings: str, width: int | None = None) -> ModelConfig:
    """One layer without norm, feed-forward and positions.

    settings  of the mixer, as in `units=20`
    width     None is the channels of a token and of an answer together
    """
    return ModelConfig(
        channels=task.channels,
        width=sum(task.channels) if width is None else width,
        stack=stack,
        norm="none",
        feed_forward=0,
        mixer_settings=settings,
    )


def gated_layer(task: VectorTask, units: int, *, width: int | None = None) -> ModelConfig:
    """The paper's gated layer: real decays, products at both ends, a constant beside the input, no biases."""
    return bare_layer(task, "gated-lru", f"units={units}", "constant=True", width=width)


def bare_run(
    task: VectorTask,
    size: int,
    model: ModelConfig,
    *,
    steps: int,
    rate: float,
    seed: int,
    weight_decay: float = 0.0,
    examples: int = EXAMPLES,
) -> RunConfig:
    """A run at one size; the schedule is the training loop's, warm-up and a cosine to 0."""
    return RunConfig(
        task=task.identity(),
        model=model,
        training=TrainingConfig(
            sizes=(size,),
            steps=steps,
            batch_size=BATCH_SIZE,
            learning_rate=rate,
            warmup=WARMUP,
            weight_decay=weight_decay,
            evaluate_every=max(1, steps // 4),
            solved_at=None,
        ),
        evaluation=EvaluationConfig(sizes=(size,), examples=examples, strings=0),
        seed=seed,
    )


def units_of(run: RunConfig) -> int:
    """The units of a gated layer's run.

    >>> from statewise.tasks import LinearAttentionTeacher
    >>> task = LinearAttentionTeacher()
    >>> units_of(bare_run(task, 8, gated_layer(task, 14), steps=1, rate=1e-3, seed=0))
    14
    """
    (text,) = (text for text in run.model.mixer_settings if text.startswith("units="))
    return int(text.removeprefix("units="))
