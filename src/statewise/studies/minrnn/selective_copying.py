"""minrnn-selective-copying: minimal recurrences copy what they select like Mamba, and a fixed recurrence cannot."""

from dataclasses import dataclass

from statewise.runs.findings import Chart, Findings, Grid, Published, Quantity
from statewise.studies.minrnn.copying import NOTES, accuracies, copying_runs, incomparable
from statewise.studies.minrnn.curves import curve_of
from statewise.studies.minrnn.known import MEMORY, NOTED, PAPER, accuracy, least
from statewise.studies.run_config import RunConfig
from statewise.studies.study import TOO_SHORT, Study, Trained


@dataclass(frozen=True, kw_only=True)
class Model:
    """One line of Table 2 that is trained here."""

    title: str
    mixer: str
    layers: int
    published: Published


MODELS = (
    Model(title="minGRU", mixer="mingru", layers=3, published=accuracy(0.995, 0.002, NOTED)),
    Model(title="minLSTM", mixer="minlstm", layers=3, published=accuracy(0.960, 0.028, NOTED)),
    Model(title="Mamba", mixer="mamba", layers=2, published=accuracy(0.998, 0.0, NOTED)),
    Model(title="S4", mixer="s4d", layers=2, published=accuracy(0.183, 0.0, NOTED)),
)

SELECTS_MORE = 0.3
"""Least difference to S4 that counts as the paper's: fixed before the study ran."""

OTHERS = (
    ("S4", "18.3", "–", "97.0"),
    ("H3", "57.0", "30.1", "99.7"),
    ("Mamba", "56.4", "28.4", "99.8"),
)
"""Table 2's baselines, percent: block, and in it S4, Hyena, S6. The authors copied them from the Mamba paper."""


def plan(scale: str) -> list[RunConfig]:
    """Every model with every seed, the long runs first. Those of minGRU and minLSTM are those of minrnn-layers."""
    return [run for model in reversed(MODELS) for run in runs_of(scale, model)]


def runs_of(scale: str, model: Model) -> list[RunConfig]:
    """One line of the table."""
    return copying_runs(scale, model.mixer, model.layers)


def read(scale: str, trained: Trained) -> Findings:
    """Table 2, how much more than S4 each copies, and a chart."""
    found = {model.title: accuracies(trained, runs_of(scale, model)) for model in MODELS}
    return Findings(
        quantities=(
            *(line(scale, model, found) for model in MODELS),
            *(more(scale, model, found) for model in MODELS[:3]),
        ),
        grids=(
            Grid(
                title="The paper's Table 2, baselines in percent (from memory; they stand in the Mamba paper)",
                headings=("block", "S4 inside", "Hyena inside", "S6 inside"),
                rows=OTHERS,
            ),
        ),
        charts=(chart_of(trained, scale),),
        notes=(*NOTES, *OWN_NOTES, *trained.missing()),
    )


def line(scale: str, model: Model, found: dict[str, dict[int, float]]) -> Quantity:
    """One model's accuracy."""
    return Quantity(
        name=f"accuracy of {model.title}, {model.layers} layers",
        values=tuple(found[model.title].values()),
        published=model.published,
        incomparable=incomparable(scale),
    )


def more(scale: str, model: Model, found: dict[str, dict[int, float]]) -> Quantity:
    """How much more a model copies than S4, seed by seed."""
    value, (fixed,) = model.published.value, [each.published.value for each in MODELS if each.title == "S4"]
    assert value is not None
    assert fixed is not None
    base = found["S4"]
    return Quantity(
        name=f"{model.title} copies more than S4 by",
        values=tuple(mine - base[seed] for seed, mine in found[model.title].items() if seed in base),
        published=least(round(value - fixed, 3), MEMORY, low=SELECTS_MORE),
        incomparable=TOO_SHORT if scale == "smoke" else "",
    )


def chart_of(trained: Trained, scale: str) -> Chart:
    """Accuracy on the validation split against steps."""
    return Chart(
        name="steps",
        title="Selective copying",
        x_label="steps",
        y_label="accuracy per symbol, validation",
        curves=tuple(
            curve_of(trained, runs_of(scale, model), model.title, lambda event: event.token_accuracy)
            for model in MODELS
        ),
        linear=True,
    )


OWN_NOTES = (
    "S4 is its diagonal form (S4D), Mamba our own; both have two layers of width 64, as in the Mamba paper (from "
    "memory), in the same blocks as the others. H3 and Hyena are not trained here.",
    "No GRU or LSTM was published on this task.",
)

STUDY = Study(
    name="minrnn-selective-copying",
    claim="Three layers of minGRU or minLSTM solve selective copying like Mamba, where a fixed recurrence (S4) fails.",
    source=f"{PAPER}, Table 2; its baselines are those of the Mamba paper, arXiv 2312.00752",
    times={"smoke": "1 s of CPU time", "small": "about 20 min of CPU time, estimated from a few steps"},
    plan=plan,
    read=read,
)
