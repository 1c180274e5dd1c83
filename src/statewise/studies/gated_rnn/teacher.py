"""gated-rnn-teacher: gated layers learn what a random linear attention does, and are then opened.

Every seed has its own teacher, its own student and its own inputs. Losses are per unit of the targets' variance.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from statewise.models import Backbone
from statewise.runs.findings import Chart, Curve, Findings, Mark, Published, Quantity, around, at_most
from statewise.studies.gated_rnn.bare_layer import bare_run, gated_layer, units_of
from statewise.studies.gated_rnn.polynomial import distance, polynomial_of
from statewise.studies.gated_rnn.probes import decays, states_of, unexplained, without_units
from statewise.studies.gated_rnn.recovery import recovered
from statewise.studies.run_config import RunConfig
from statewise.studies.study import TOO_SHORT, Study, Trained
from statewise.tasks import LinearAttentionTeacher, from_identity
from statewise.training import evaluate

MEMORY = "from memory"
LEARNT = 1e-4
"""Loss per unit of the targets' variance from which on a student counts as having found a solution: fixed before the
study ran, after trials of one seed."""

MARGIN = 0.05
"""Decays that are closer than this to 0 or to 1 count as 0 or 1."""

TIMES = 10
"""An error agrees with a published one up to this factor: budgets, scales and norms of the paper are from memory."""

EXAMPLES = 1024
PROBED = 256
DEGREE = 4
"""Of what a gated layer says after one token: two products of two factors each."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the study is.

    ladder      units of the students whose loss is drawn
    steps       of their training
    opened      units of the student that is opened
    long_steps  of its training
    """

    ladder: tuple[int, ...]
    steps: int
    opened: int
    long_steps: int
    seeds: tuple[int, ...]
    dim: int = 4
    size: int = 16
    rate: float = 1e-2


SCALES = {
    "smoke": Scale(ladder=(7, 14), steps=50, opened=40, long_steps=100, seeds=(0,)),
    "small": Scale(
        ladder=(6, 10, 12, 14, 17, 20, 28, 40, 100), steps=3000, opened=100, long_steps=8000, seeds=(0, 1, 2)
    ),
    "paper": Scale(
        ladder=(6, 8, 10, 12, 14, 17, 20, 28, 40, 100),
        steps=50_000,
        opened=100,
        long_steps=200_000,
        seeds=(0, 1, 2, 3, 4),
        rate=3e-3,
    ),
}


def plan(scale: str) -> list[RunConfig]:
    """The ladder and the students that are opened."""
    asked = SCALES[scale]
    return [*ladder_runs(asked), *opened_runs(asked)]


def ladder_runs(asked: Scale) -> list[RunConfig]:
    """Every number of units with every seed."""
    return [student(asked, units, asked.steps, seed) for units in asked.ladder for seed in asked.seeds]


def opened_runs(asked: Scale) -> list[RunConfig]:
    """The wide students, trained for longer."""
    return [student(asked, asked.opened, asked.long_steps, seed) for seed in asked.seeds]


def student(asked: Scale, units: int, steps: int, seed: int) -> RunConfig:
    """One student of the teacher that has the seed's number."""
    task = LinearAttentionTeacher(dim=asked.dim, teacher=seed)
    return bare_run(task, asked.size, gated_layer(task, units), steps=steps, rate=asked.rate, seed=seed)


def compact_units(dim: int) -> int:
    """Units of the construction: d(d+1)/2 products of two channels, and d that carry the query.

    >>> compact_units(4)
    14
    """
    return dim * (dim + 1) // 2 + dim


def read(scale: str, trained: Trained) -> Findings:
    """The table and the chart."""
    asked = SCALES[scale]
    incomparable = TOO_SHORT if scale == "smoke" else ""
    curve = ladder_curve(trained, asked)
    return Findings(
        quantities=(*ladder_quantities(curve, asked, incomparable), *opened_quantities(trained, asked, incomparable)),
        charts=(
            Chart(
                name="units",
                title=f"A linear-attention teacher (d = {asked.dim}) learned by gated layers",
                x_label="units",
                y_label="test loss per unit of target variance",
                curves=(curve,),
                marks=(
                    Mark(label="construction", axis="x", at=compact_units(asked.dim)),
                    Mark(label=f"counts as learnt: {LEARNT:g}", axis="y", at=LEARNT),
                ),
            ),
        ),
        notes=(*NOTES, *trained.missing()),
    )


NOTES = (
    "The paper's numbers are from memory, and so are its scales: losses here are per unit of the targets' variance, "
    "sequences have 16 tokens, every seed has a teacher of its own.",
    "The layer stands between an affine and a linear map and on a residual. Its width, 2d, lets these keep the "
    "residual out of the answer, so that the construction's number of units suffices as without them.",
    "Unexplained: 1 − R² of least squares from states to what the teacher holds. As many states as here explain it "
    "long before the student answers well: they say that it is there, not that units are single products.",
    f"Recovered: the attention of one head nearest to the student in coefficients, decays within {MARGIN:g} of 0 and 1 "
    "taken for these; maps up to what outputs do not depend on. No paper gives these distances.",
)


def ladder_curve(trained: Trained, asked: Scale) -> Curve:
    """Loss against units."""
    runs = trained.finished(ladder_runs(asked))
    points = [
        (units, tuple(relative_loss(trained, run) for run in runs if units_of(run) == units)) for units in asked.ladder
    ]
    return Curve(label="gated-lru", points=tuple(points))


def relative_loss(trained: Trained, run: RunConfig) -> float:
    """Test loss per unit of the targets' variance."""
    (size,) = run.evaluation.sizes
    return trained.loss(run) / task_of(run).chance(size)


def task_of(run: RunConfig) -> LinearAttentionTeacher:
    """The teacher of a run."""
    task = from_identity(run.task)
    assert isinstance(task, LinearAttentionTeacher)
    return task


def ladder_quantities(curve: Curve, asked: Scale, incomparable: str) -> list[Quantity]:
    """What the ladder says: the loss at the construction's size, and from which size on seeds learn."""
    construction = compact_units(asked.dim)
    at_construction = [values for units, values in curve.points if units == construction]
    needed = smallest_learnt(curve, len(asked.seeds))
    return [
        Quantity(
            name=f"loss with the construction's {construction} units",
            values=at_construction[0] if at_construction else (),
            logarithmic=True,
        ),
        Quantity(
            name=f"units from which on the loss is below {LEARNT:g}",
            values=needed,
            published=around(2 * construction, "seen: about twice the construction's", share=0.5),
            incomparable=incomparable or ("" if len(needed) == len(asked.seeds) else "not every seed gets there"),
        ),
    ]


def smallest_learnt(curve: Curve, seeds: int) -> tuple[float, ...]:
    """For each seed the least number of units that learnt; seeds that never did, or lack a run, are left out."""
    whole = [(units, values) for units, values in curve.points if len(values) == seeds]
    firsts = [[units for units, values in whole if values[seed] <= LEARNT] for seed in range(seeds)]
    return tuple(min(found) for found in firsts if found)


def opened_quantities(trained: Trained, asked: Scale, incomparable: str) -> list[Quantity]:
    """What stands inside the wide students."""
    runs = trained.finished(opened_runs(asked))
    opened = [open_student(trained.model(run), task_of(run), asked.size, run.seed) for run in runs]
    lines = [
        Quantity(
            name=f"loss with {asked.opened} units, trained for longer",
            values=tuple(relative_loss(trained, run) for run in runs),
            published=at_most(4.97e-8, MEMORY, times=TIMES),
            logarithmic=True,
            incomparable=incomparable,
        )
    ]
    lines += [
        Quantity(
            name=name,
            values=tuple(found[name] for found in opened),
            published=published,
            logarithmic=name not in (KEPT, PASSING, BETWEEN),
            incomparable=incomparable or INCOMPARABLE.get(name, ""),
        )
        for name, published in PUBLISHED.items()
    ]
    return lines


WITHOUT = f"loss without the units whose decay is in ({MARGIN:g}, {1 - MARGIN:g})"
PRUNED = "the same over the loss with them"
KEPT, PASSING, BETWEEN = "units with decay near 1", "units with decay near 0", "units with decay between"
MEMORY_SCORE = "unexplained: Σ v kᵀ by states with decay near 1"
QUERY_SCORE = "unexplained: q by states with decay near 0"
POLYNOMIAL = "distance of the polynomial of one token"
FORM = "distance of the recovered attention's trilinear form"
VALUES, SCORES = (
    "distance of the recovered value map, up to scale",
    "distance of the recovered key-query map, up to scale",
)
RESIDUAL = "share of the student that is no attention"

PUBLISHED: dict[str, Published | None] = {
    WITHOUT: None,
    PRUNED: at_most(1.0, f"{MEMORY}: no change", times=2),
    KEPT: None,
    PASSING: None,
    BETWEEN: None,
    MEMORY_SCORE: at_most(4.52e-8, MEMORY, times=TIMES),
    QUERY_SCORE: at_most(2.06e-10, MEMORY, times=TIMES),
    POLYNOMIAL: at_most(3.73e-4, MEMORY, times=TIMES),
    FORM: None,
    VALUES: None,
    SCORES: None,
    RESIDUAL: None,
}

HOW_SCORED = "how the paper scores is not known, and this measure is small long before the student is good"
INCOMPARABLE = {MEMORY_SCORE: HOW_SCORED, QUERY_SCORE: HOW_SCORED}


@torch.no_grad()
def open_student(model: Backbone, task: LinearAttentionTeacher, size: int, seed: int) -> dict[str, float]:
    """The quantities of one student, by name."""
    rates = decays(model)
    memory, passing = rates >= 1 - MARGIN, rates <= MARGIN
    between = ~(memory | passing)
    tokens = task.examples("test", seed=seed, start=0, count=PROBED, size=size).tokens
    states = states_of(model, tokens)
    query, key, value = (tokens.double() @ weight.mT for weight in task.weights)
    held = (value[..., :, None] * key[..., None, :]).cumsum(1).flatten(-2)
    before, after = (
        evaluate(each, task, split="test", size=size, examples=EXAMPLES, seed=seed).loss
        for each in (model, without_units(model, between))
    )
    attention = recovered(model, task.weights, near=MARGIN)
    return {
        WITHOUT: after / task.chance(size),
        PRUNED: after / before,
        KEPT: float(memory.sum()),
        PASSING: float(passing.sum()),
        BETWEEN: float(between.sum()),
        MEMORY_SCORE: unexplained(states[..., memory], held),
        QUERY_SCORE: unexplained(states[..., passing], query),
        POLYNOMIAL: distance(polynomial_of_student(model, task.dim), polynomial_of_teacher(task)),
        FORM: attention.form,
        VALUES: attention.values,
        SCORES: attention.scores,
        RESIDUAL: attention.residual,
    }


def polynomial_of_student(model: Backbone, channels: int) -> dict[tuple[int, ...], Tensor]:
    """What a model says after one token, as a polynomial of that token."""
    wide = copy.deepcopy(model).double()
    return polynomial_of(lambda x: wide(x[:, None])[0][:, 0], channels, DEGREE)


def polynomial_of_teacher(task: LinearAttentionTeacher) -> dict[tuple[int, ...], Tensor]:
    """W_V x · (W_K x)ᵀ(W_Q x)."""
    query, key, value = task.weights

    def answer(x: Tensor) -> Tensor:
        return (x @ value.mT) * ((x @ key.mT) * (x @ query.mT)).sum(-1, keepdim=True)

    return polynomial_of(answer, task.dim, DEGREE)


STUDY = Study(
    name="gated-rnn-teacher",
    claim="A gated linear recurrence that is trained on a linear-attention teacher becomes that attention.",
    source="Zucchet et al., arXiv 2309.01775, §4; all of its numbers are from memory",
    times={"smoke": "8 s of CPU time", "small": "6.7 min of CPU time"},
    plan=plan,
    read=read,
)
