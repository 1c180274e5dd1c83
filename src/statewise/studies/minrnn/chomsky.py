"""minrnn-chomsky: formal languages learned on strings of up to 40 symbols and asked on longer ones."""

from dataclasses import dataclass

from statewise.models import ModelConfig
from statewise.runs import Result
from statewise.runs.findings import Chart, Curve, Findings, Mark, Published, Quantity
from statewise.studies.minrnn.known import FAINT, PAPER
from statewise.studies.run_config import EvaluationConfig, RunConfig
from statewise.studies.study import TOO_SHORT, Study, Trained
from statewise.tasks import BucketSort, CycleNavigation, EvenPairs, Majority, MissingDuplicate, Task
from statewise.training import TrainingConfig

MIXERS = {"minlstm": "minLSTM", "mingru": "minGRU"}

LANGUAGES: tuple[tuple[Task, float], ...] = (
    (BucketSort(), 0.94),
    (MissingDuplicate(layout="minrnn"), 0.26),
    (CycleNavigation(), 0.79),
    (EvenPairs(), 1.00),
    (Majority(), 0.93),
)
"""Tasks, and what minLSTM has on them: remembered faintly, minGRU's not at all."""

WITHIN = 0.1
"""A faintly remembered accuracy agrees within so much."""

NO_BUDGET = "a smaller model, trained on a thousandth of the strings; and the value is remembered faintly"
ONLY_FAINT = "the value is remembered faintly, and whether it is scaled is not known"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the study is.

    longest  string that is trained on; every length from 1 is drawn equally often
    asked    lengths that are scored, evenly spaced, so that their mean is that of uniform lengths
    """

    longest: int
    asked: tuple[int, ...]
    width: int
    steps: int
    batch_size: int
    rate: float
    warmup: int
    schedule: str
    clip: float
    evaluate_every: int
    examples: int
    seeds: tuple[int, ...]


UNCLIPPED = 1e9

SCALES = {
    "smoke": Scale(
        longest=4,
        asked=(4, 8),
        width=8,
        steps=3,
        batch_size=4,
        rate=3e-3,
        warmup=1,
        schedule="cosine",
        clip=1.0,
        evaluate_every=2,
        examples=8,
        seeds=(0,),
    ),
    "small": Scale(
        longest=40,
        asked=tuple(range(40, 257, 36)),
        width=64,
        steps=1500,
        batch_size=32,
        rate=3e-3,
        warmup=100,
        schedule="cosine",
        clip=1.0,
        evaluate_every=500,
        examples=128,
        seeds=(0, 1, 2),
    ),
    "paper": Scale(
        longest=40,
        asked=tuple(range(40, 257)),
        width=256,
        steps=500_000,
        batch_size=256,
        rate=3e-4,
        warmup=0,
        schedule="constant",
        clip=UNCLIPPED,
        evaluate_every=5000,
        examples=64,
        seeds=(0, 1, 2),
    ),
}


def run_of(scale: str, task: Task, mixer: str, seed: int) -> RunConfig:
    """One model on one language."""
    asked = SCALES[scale]
    return RunConfig(
        task=task.identity(),
        model=ModelConfig(
            vocabulary=task.vocabulary(max(*asked.asked, asked.longest)),
            width=asked.width,
            stack=f"{mixer}*2",
            expansion=1,
            conv=4,
            feed_forward=0,
        ),
        training=TrainingConfig(
            sizes=tuple(range(1, asked.longest + 1)),
            steps=asked.steps,
            batch_size=asked.batch_size,
            learning_rate=asked.rate,
            warmup=asked.warmup,
            schedule=asked.schedule,
            weight_decay=0.01,
            clip=asked.clip,
            evaluate_every=asked.evaluate_every,
            validation=asked.examples,
            solved_at=None,
        ),
        evaluation=EvaluationConfig(sizes=asked.asked, examples=asked.examples, strings=0),
        seed=seed,
    )


def runs_of(scale: str, task: Task, mixer: str) -> list[RunConfig]:
    """The same with every seed."""
    return [run_of(scale, task, mixer, seed) for seed in SCALES[scale].seeds]


def plan(scale: str) -> list[RunConfig]:
    """Every language and both mixers."""
    return [run for task, _ in LANGUAGES for mixer in MIXERS for run in runs_of(scale, task, mixer)]


def scaled(task: Task, result: Result) -> float:
    """Accuracy per scored token, 0 at guessing and 1 at perfect."""
    assert result.token_accuracy is not None
    chance = task.chance(result.size)
    return (result.token_accuracy - chance) / (1 - chance)


def read(scale: str, trained: Trained) -> Findings:
    """The mean over lengths of every language, and a chart for each mixer."""
    why = {"smoke": TOO_SHORT, "small": NO_BUDGET}.get(scale, ONLY_FAINT)
    return Findings(
        quantities=tuple(
            Quantity(
                name=f"{task.title}: scaled accuracy of {title}",
                values=tuple(mean_scaled(trained, task, run) for run in trained.finished(runs_of(scale, task, mixer))),
                published=faint(value) if mixer == "minlstm" else None,
                incomparable=why,
            )
            for task, value in LANGUAGES
            for mixer, title in MIXERS.items()
        ),
        charts=tuple(chart_of(scale, trained, mixer) for mixer in MIXERS),
        notes=(*NOTES, *trained.missing()),
    )


def faint(value: float) -> Published:
    """A value that is remembered faintly, and what agrees with it."""
    return Published(value=value, known=FAINT, low=value - WITHIN, high=value + WITHIN)


def mean_scaled(trained: Trained, task: Task, run: RunConfig) -> float:
    """Over the lengths that are asked."""
    results = trained.record(run).results
    return sum(scaled(task, result) for result in results) / len(results)


def chart_of(scale: str, trained: Trained, mixer: str) -> Chart:
    """Scaled accuracy against length."""
    asked = SCALES[scale]
    return Chart(
        name=f"{mixer}-lengths",
        title=f"{MIXERS[mixer]} on strings longer than those it learned from",
        x_label="symbols",
        y_label="scaled accuracy",
        curves=tuple(
            Curve(label=task.title, points=points_of(trained, task, runs_of(scale, task, mixer), asked))
            for task, _ in LANGUAGES
        ),
        marks=(Mark(label="longest trained", axis="x", at=asked.longest),),
        linear=True,
    )


def points_of(
    trained: Trained, task: Task, runs: list[RunConfig], asked: Scale
) -> tuple[tuple[float, tuple[float, ...]], ...]:
    """At each length, one value for each run that finished."""
    found = [
        {result.size: scaled(task, result) for result in trained.record(run).results} for run in trained.finished(runs)
    ]
    return tuple((float(size), tuple(values[size] for values in found)) for size in asked.asked)


NOTES = (
    "Scaled accuracy is (accuracy − chance) / (1 − chance), as in the figure of Beck et al., arXiv 2405.04517, "
    "that the paper takes its other models from; of bucket sort per symbol. That the remembered values are scaled "
    "is a guess.",
    "At paper, the prose's settings: two layers with a convolution of 4 taps before each, batches of 256, AdamW "
    "at 3e-4 with weight decay 0.01, 500,000 steps, three seeds. A fork of the code has no convolution, batches "
    "of 128, weight decay 0.05, no dropout, no clipping, and 100,000 steps for even pairs; from it are the width, "
    "256, and expansion 1.",
    "Lengths: trained on 1 … 40, drawn for each step rather than each string; scored on 40 … 256, all at paper.",
    "The paper lists only languages on which 30 % can be reached; those whose names we know are here.",
)

STUDY = Study(
    name="minrnn-chomsky",
    claim="Minimal recurrences learn formal languages about as well as Mamba and xLSTM, and hold on longer strings.",
    source=f"{PAPER}, appendix D, Table 4; its numbers were not seen",
    times={"smoke": "2 s of CPU time", "small": "about 17 min of CPU time, estimated from a few steps"},
    plan=plan,
    read=read,
)
