"""minrnn-shakespeare: loss against steps of a language model of characters, of minimal recurrences and of others.

The same path as `statewise train text --file …`: the task is the bytes of the file.
"""

from dataclasses import dataclass
from functools import partial

from statewise.core.errors import UsageError
from statewise.models import ModelConfig
from statewise.runs.findings import Chart, Findings, Published, Quantity
from statewise.studies.minrnn.curves import curve_of
from statewise.studies.minrnn.known import PAPER, SEEN
from statewise.studies.presets import PRESETS
from statewise.studies.run_config import EvaluationConfig, RunConfig
from statewise.studies.study import TOO_SHORT, Study, Trained
from statewise.tasks import Text
from statewise.tasks.text import corpus_digest
from statewise.training import TrainingConfig

NAME = "minrnn-shakespeare"

CORPUS = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
"""SHA-256 of the paper's corpus, 1,115,394 bytes: tinyshakespeare, as the character models of nanoGPT take it."""

NEEDED = (
    f"{NAME}: it trains on a text file, and none is named; name Shakespeare's plays as in tinyshakespeare (input.txt, "
    "1,115,394 bytes): --file input.txt"
)
ANOTHER = "another corpus than the paper's"
SMALLER = "a smaller model, and fewer characters a step"


@dataclass(frozen=True, kw_only=True)
class Model:
    """One line of the paper's figure.

    loss  the least test loss on the way; step is where
    """

    title: str
    mixer: str
    loss: float
    step: int


MODELS = (
    Model(title="minGRU", mixer="mingru", loss=1.548, step=575),
    Model(title="minLSTM", mixer="minlstm", loss=1.555, step=625),
    Model(title="Mamba", mixer="mamba", loss=1.575, step=400),
    Model(title="Transformer", mixer="attention", loss=1.547, step=2000),
)

SHARE, STEPS_SHARE = 0.03, 0.5
"""A loss agrees within 3 %, a step within a half of it."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the models and their training are."""

    size: int
    width: int
    layers: int
    feed_forward: int
    head_size: int
    dropout: float
    steps: int
    batch_size: int
    rate: float
    warmup: int
    schedule: str
    weight_decay: float
    clip: float
    evaluate_every: int
    examples: int | None
    seeds: tuple[int, ...]


PRESET = PRESETS["text"]

SCALES = {
    "smoke": Scale(
        size=16,
        width=8,
        layers=1,
        feed_forward=1,
        head_size=4,
        dropout=0.1,
        steps=2,
        batch_size=2,
        rate=1e-3,
        warmup=1,
        schedule="cosine",
        weight_decay=0.01,
        clip=1.0,
        evaluate_every=1,
        examples=2,
        seeds=(0,),
    ),
    "small": Scale(
        size=256,
        width=PRESET.width,
        layers=PRESET.depth,
        feed_forward=PRESET.feed_forward,
        head_size=32,
        dropout=0.0,
        steps=4 * PRESET.steps,
        batch_size=PRESET.batch_size,
        rate=5e-3,
        warmup=200,
        schedule="cosine",
        weight_decay=PRESET.weight_decay,
        clip=1.0,
        evaluate_every=250,
        examples=None,
        seeds=(0,),
    ),
    "paper": Scale(
        size=256,
        width=384,
        layers=3,
        feed_forward=4,
        head_size=64,
        dropout=0.2,
        steps=5000,
        batch_size=64,
        rate=1e-3,
        warmup=0,
        schedule="constant",
        weight_decay=0.01,
        clip=0.25,
        evaluate_every=25,
        examples=None,
        seeds=(0, 1, 2),
    ),
}

EXPANSION = 2


def model_of(asked: Scale, mixer: str) -> ModelConfig:
    """A stack of three of one mixer: convolution, recurrence, feed-forward; Mamba and attention have their own."""
    minimal, attention = mixer in ("mingru", "minlstm"), mixer == "attention"
    return ModelConfig(
        vocabulary=256,
        width=asked.width,
        stack=f"{mixer}*{asked.layers}",
        expansion=None if attention else EXPANSION,
        conv=4 if minimal else 0,
        feed_forward=asked.feed_forward,
        dropout=asked.dropout,
        positions="learned" if attention else "none",
        max_length=asked.size if attention else None,
        mixer_settings=(f"head_size={asked.head_size}",) if attention else (),
    )


def runs_of(scale: str, file: str | None, mixer: str) -> list[RunConfig]:
    """One line of the figure, with every seed."""
    asked = SCALES[scale]
    return [
        RunConfig(
            task=Text(file=file).identity(),
            model=model_of(asked, mixer),
            training=TrainingConfig(
                sizes=(asked.size,),
                steps=asked.steps,
                batch_size=asked.batch_size,
                learning_rate=asked.rate,
                warmup=asked.warmup,
                schedule=asked.schedule,
                weight_decay=asked.weight_decay,
                clip=asked.clip,
                evaluate_every=asked.evaluate_every,
                solved_at=None,
            ),
            evaluation=EvaluationConfig(sizes=(asked.size,), examples=asked.examples, strings=0),
            seed=seed,
        )
        for seed in asked.seeds
    ]


def checked(scale: str, file: str | None) -> str | None:
    """The file; at `smoke` none is needed, and the task takes Python's own sources."""
    if file is None and scale != "smoke":
        raise UsageError(NEEDED)
    return file


def plan(scale: str, *, file: str | None = None) -> list[RunConfig]:
    """Every model, the slow ones first."""
    file = checked(scale, file)
    return [run for model in reversed(MODELS) for run in runs_of(scale, file, model.mixer)]


def read(scale: str, trained: Trained, *, file: str | None = None) -> Findings:
    """The least loss on the way and where it was, the loss at the end, and the curves."""
    file = checked(scale, file)
    incomparable = why_not(scale, file)
    return Findings(
        quantities=tuple(
            quantity
            for model in MODELS
            for quantity in quantities_of(trained, runs_of(scale, file, model.mixer), model, incomparable)
        ),
        charts=(
            Chart(
                name="steps",
                title="Language models of characters",
                x_label="steps",
                y_label="loss in nats per character, validation",
                curves=tuple(
                    curve_of(trained, runs_of(scale, file, model.mixer), model.title, lambda event: event.loss)
                    for model in MODELS
                ),
            ),
        ),
        notes=(*NOTES, *trained.missing()),
    )


def why_not(scale: str, file: str | None) -> str:
    """Why losses are not compared with the paper's; empty where they are."""
    if scale == "smoke":
        return TOO_SHORT
    if corpus_digest(file) != CORPUS:
        return ANOTHER
    return SMALLER if scale == "small" else ""


def quantities_of(trained: Trained, runs: list[RunConfig], model: Model, incomparable: str) -> list[Quantity]:
    """Three lines for one model."""
    finished = trained.finished(runs)
    best = [min(events, key=lambda event: event.loss) for run in finished if (events := trained.evaluations(run))]
    lines: list[tuple[str, list[float], Published | None]] = [
        ("least loss on the way", [event.loss for event in best], within(model.loss, SHARE)),
        ("step of the least loss", [float(event.step) for event in best], within(model.step, STEPS_SHARE)),
        ("test loss after the last step", [trained.loss(run) for run in finished], None),
    ]
    return [
        Quantity(name=f"{name}, {model.title}", values=tuple(values), published=published, incomparable=incomparable)
        for name, values, published in lines
    ]


def within(value: float, share: float) -> Published:
    """A value seen, and the share of it that it may be off by."""
    return Published(value=value, known=SEEN, low=value * (1 - share), high=value * (1 + share))


NOTES = (
    "The paper's loss is the least on its test split, which so chooses the step and is reported. Ours is the "
    "least on a validation split, the last fiftieth of the training part; the test split, its last 10 %, is "
    "scored after the last step.",
    "Losses are in nats per byte, which in this corpus is a character.",
    "At paper: three layers of width 384, expansion 2, dropout 0.2, AdamW at 1e-3, gradients clipped at 0.25, "
    "batches of 64, 5,000 steps scored every 25, six heads of the Transformer, and of Mamba 16 states and "
    "expansion 2, as the prose has it. Contexts of 256 are from memory. Not known: weight decay and schedule "
    "(here 0.01, torch's default, and constant), the feed-forward (here 4 times the width, GELU), Mamba's (here "
    "the same), positions (here learned).",
    "At small: the model of the preset of `text` (width 128), four times its steps, four windows of 256 a step, "
    "one seed.",
    "The paper says that the Transformer takes about 2.5 times more steps; 2,000 over 575 is 3.5 times as many.",
)


def study_of(file: str | None) -> Study:
    """The study of a corpus."""
    return Study(
        name=NAME,
        claim="Minimal recurrences reach a Transformer's loss on Shakespeare, in a third or less of its steps.",
        source=f"{PAPER}, §4.3 and its figure: losses and steps",
        times={"smoke": "2 s of CPU time", "small": "20 to 30 min for each of four models, estimated; one seed"},
        plan=partial(plan, file=file),
        read=partial(read, file=file),
        with_corpus=study_of,
        one_seed="four language models of up to half an hour each on two cores",
    )


STUDY = study_of(None)
