"""gated-rnn-architectures: which recurrent layers learn a linear-attention teacher, at what number of parameters.

Every seed has its own teacher. Losses are per unit of the targets' variance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from statewise.models import ModelConfig
from statewise.runs.findings import Chart, Curve, Findings, Mark, Published, Quantity
from statewise.studies.best_setting import at_best_setting
from statewise.studies.gated_rnn.bare_layer import bare_layer, bare_run, gated_layer
from statewise.studies.gated_rnn.teacher import compact_units, relative_loss
from statewise.studies.run_config import RunConfig
from statewise.studies.study import TOO_SHORT, Study, Trained
from statewise.tasks import LinearAttentionTeacher

LEARNT = 1e-3
"""Loss per unit of the targets' variance from which on an architecture counts as having learnt the teacher."""

Build = Callable[[LinearAttentionTeacher, int], ModelConfig]

FAILS = Published(words="fails", known="seen: existing recurrent networks fail to mimic linear attention", low=LEARNT)
LEARNS = Published(words="learns it", known="from memory", high=LEARNT)
CONTAINS = Published(words="contains it", known="derived", high=LEARNT)


@dataclass(frozen=True)
class Architecture:
    """One kind of layer.

    build      the layer at rung 1, 2, 4, … of its ladder
    published  what the paper says of it
    """

    label: str
    build: Build
    published: Published | None = None


def of_width(stack: str, *settings: str) -> Build:
    """A layer that grows by its width, 2d at the first rung."""
    return lambda task, rung: bare_layer(task, stack, *settings, width=rung * sum(task.channels))


def of_units(*settings: str) -> Build:
    """An LRU that grows by its units, 4d at the first rung, as its parameters are linear in these."""
    return lambda task, rung: bare_layer(task, "lru", f"units={4 * task.dim * rung**2}", *settings)


ARCHITECTURES = (
    Architecture("lru: no gates", of_units(), FAILS),
    Architecture("lru: output gate", of_units("gated=True"), FAILS),
    Architecture("gated-lru", lambda task, rung: gated_layer(task, rung * compact_units(task.dim)), LEARNS),
    Architecture("lstm", of_width("lstm"), FAILS),
    Architecture("gru", of_width("gru"), FAILS),
    Architecture("mingru", of_width("mingru", "expansion=2")),
    Architecture("mamba", of_width("mamba")),
    Architecture("linear-attention", of_width("linear-attention"), CONTAINS),
)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the study is; `rungs` are those of every architecture's ladder."""

    rungs: tuple[int, ...]
    steps: int
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    dim: int = 4
    size: int = 8


SCALES = {
    "smoke": Scale(rungs=(1,), steps=25, rates=(1e-2,), seeds=(0,)),
    "small": Scale(rungs=(1, 2, 4), steps=800, rates=(3e-3, 1e-2), seeds=(0, 1, 2)),
    "paper": Scale(rungs=(1, 2, 4, 8), steps=50_000, rates=(1e-3, 3e-3, 1e-2), seeds=(0, 1, 2, 3, 4), dim=6, size=16),
}


def plan(scale: str) -> list[RunConfig]:
    """Every architecture at every rung, rate and seed, the cheap rungs first."""
    asked = SCALES[scale]
    return [run for rung in asked.rungs for each in ARCHITECTURES for run in runs_of(asked, each, rung)]


def runs_of(asked: Scale, architecture: Architecture, rung: int) -> list[RunConfig]:
    """One architecture at one rung, at every rate and seed."""
    return [
        bare_run(task, asked.size, architecture.build(task, rung), steps=asked.steps, rate=rate, seed=task.teacher)
        for rate in asked.rates
        for task in (LinearAttentionTeacher(dim=asked.dim, teacher=seed) for seed in asked.seeds)
    ]


@dataclass(frozen=True)
class Point:
    """One architecture at one rung: its number of parameters, and its losses at the rate that was chosen."""

    parameters: int
    losses: tuple[float, ...]
    validation: float


def read(scale: str, trained: Trained) -> Findings:
    """The table and the chart."""
    asked = SCALES[scale]
    ladders = {each.label: ladder(trained, asked, each) for each in ARCHITECTURES}
    incomparable = TOO_SHORT if scale == "smoke" else ""
    return Findings(
        quantities=tuple(quantity_of(each, ladders[each.label], asked, incomparable) for each in ARCHITECTURES),
        charts=(
            Chart(
                name="parameters",
                title=f"A linear-attention teacher (d = {asked.dim}) learned by recurrent layers",
                x_label="parameters",
                y_label="test loss per unit of target variance",
                curves=tuple(
                    Curve(label=label, points=tuple((point.parameters, point.losses) for point in points))
                    for label, points in ladders.items()
                ),
                marks=(Mark(label=f"counts as learnt: {LEARNT:g}", axis="y", at=LEARNT),),
            ),
        ),
        notes=(*sentences(ladders), *NOTES, *trained.missing()),
    )


NOTES = (
    "Each value is at the size that is best on the validation split, with the learning rate that is best there; "
    "values are from the test split.",
    "Stand-ins: the LRU has complex decays where the paper's gated layers have real ones, and its output gate is GELU "
    "and a gated linear unit after the recurrence, as in its published block; no layer here has an input gate alone.",
    "Everything is one layer of equal width between an affine and a linear map, on a residual, trained for equally "
    "many steps; what a longer training would give is not said.",
)


def ladder(trained: Trained, asked: Scale, architecture: Architecture) -> list[Point]:
    """What each rung came to; rungs of which nothing finished are left out."""
    found = []
    for rung in asked.rungs:
        runs = at_best_setting(trained, runs_of(asked, architecture, rung))
        if runs:
            losses = tuple(relative_loss(trained, run) for run in runs)
            validation = sum(map(trained.validation_loss, runs)) / len(runs)
            found.append(Point(trained.record(runs[0]).facts["parameters"], losses, validation))
    return found


def quantity_of(architecture: Architecture, points: Sequence[Point], asked: Scale, incomparable: str) -> Quantity:
    """The loss at the best rung of those where every seed finished."""
    whole = [point for point in points if len(point.losses) == len(asked.seeds)]
    best = min(whole, key=lambda point: point.validation, default=None)
    size = "" if best is None else f", {best.parameters:,} parameters"
    return Quantity(
        name=f"loss of {architecture.label}{size}",
        values=() if best is None else best.losses,
        published=architecture.published,
        logarithmic=True,
        incomparable=incomparable,
    )


def sentences(ladders: dict[str, list[Point]]) -> list[str]:
    """Who learnt it, and at what size first; who did not."""
    first = {
        label: min((point.parameters for point in points if max(point.losses) <= LEARNT), default=None)
        for label, points in ladders.items()
    }
    learnt = [f"{label} from {size:,} parameters on" for label, size in first.items() if size is not None]
    others = [label for label, size in first.items() if size is None]
    return [
        f"Learnt by every seed, to {LEARNT:g}: {', '.join(learnt) or 'by none'}.",
        f"Not learnt by every seed at any size tried: {', '.join(others) or 'none'}.",
    ]


STUDY = Study(
    name="gated-rnn-architectures",
    claim="Of recurrent layers those with products at both ends learn a linear-attention teacher; the others do not.",
    source="Zucchet et al., arXiv 2309.01775, §4; what it says of other layers is from its reviews and from memory",
    times={"smoke": "8 s of CPU time", "small": "6.5 min of CPU time"},
    plan=plan,
    read=read,
)
