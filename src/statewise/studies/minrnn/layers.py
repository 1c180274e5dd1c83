"""minrnn-layers: gates that see the present token alone need a second layer to depend on what came before."""

from statewise.runs.findings import Chart, Curve, Findings, Published, Quantity
from statewise.studies.minrnn.copying import NOTES, accuracies, copying_runs, incomparable
from statewise.studies.minrnn.known import MEMORY, NOTED, PAPER, accuracy, least
from statewise.studies.run_config import RunConfig
from statewise.studies.study import TOO_SHORT, Study, Trained

LAYERS = (1, 2, 3)
TITLES = {"mingru": "minGRU", "minlstm": "minLSTM"}

PUBLISHED: dict[tuple[str, int], Published] = {
    ("mingru", 1): accuracy(0.370, 0.023, MEMORY),
    ("mingru", 2): accuracy(0.968, 0.032, MEMORY),
    ("mingru", 3): accuracy(0.995, 0.002, NOTED),
    ("minlstm", 1): accuracy(0.376, 0.020, MEMORY),
    ("minlstm", 2): accuracy(0.857, 0.058, MEMORY),
    ("minlstm", 3): accuracy(0.960, 0.028, NOTED),
}
"""Table 1."""

SECOND_ADDS, THIRD_ADDS = 0.2, 0.0
"""Least differences that count as the paper's trend: fixed before the study ran, after one trial of minGRU."""


def plan(scale: str) -> list[RunConfig]:
    """Every depth of both, the long runs first."""
    return [run for layers in reversed(LAYERS) for mixer in TITLES for run in copying_runs(scale, mixer, layers)]


def read(scale: str, trained: Trained) -> Findings:
    """Table 1, what each further layer adds, and both as a chart."""
    found = {
        (mixer, layers): accuracies(trained, copying_runs(scale, mixer, layers))
        for mixer in TITLES
        for layers in LAYERS
    }
    return Findings(
        quantities=(
            *(table_line(scale, mixer, layers, values) for (mixer, layers), values in found.items()),
            *(
                added(scale, mixer, layers, found[mixer, layers - 1], found[mixer, layers])
                for mixer in TITLES
                for layers in LAYERS[1:]
            ),
        ),
        charts=(chart_of(found),),
        notes=(*NOTES, *trained.missing()),
    )


def table_line(scale: str, mixer: str, layers: int, values: dict[int, float]) -> Quantity:
    """One cell of Table 1."""
    return Quantity(
        name=f"accuracy of {TITLES[mixer]}, {layers} layer{'s' if layers > 1 else ''}",
        values=tuple(values.values()),
        published=PUBLISHED[mixer, layers],
        incomparable=incomparable(scale),
    )


def added(scale: str, mixer: str, layers: int, fewer: dict[int, float], more: dict[int, float]) -> Quantity:
    """What the last of so many layers adds, seed by seed."""
    value = value_of(mixer, layers) - value_of(mixer, layers - 1)
    return Quantity(
        name=f"{TITLES[mixer]}: layer {layers} adds",
        values=tuple(more[seed] - fewer[seed] for seed in more if seed in fewer),
        published=least(round(value, 3), MEMORY, low=SECOND_ADDS if layers == 2 else THIRD_ADDS),
        incomparable=TOO_SHORT if scale == "smoke" else "",
    )


def chart_of(found: dict[tuple[str, int], dict[int, float]]) -> Chart:
    """Accuracy against the number of layers, the paper's means as lines of their own."""
    ours = tuple(
        Curve(label=title, points=tuple((layers, tuple(found[mixer, layers].values())) for layers in LAYERS))
        for mixer, title in TITLES.items()
    )
    theirs = tuple(
        Curve(label=f"{title}, paper", points=tuple((layers, (value_of(mixer, layers),)) for layers in LAYERS))
        for mixer, title in TITLES.items()
    )
    return Chart(
        name="layers",
        title="Selective copying by the number of layers",
        x_label="layers",
        y_label="accuracy per symbol",
        curves=(*ours, *theirs),
        linear=True,
    )


def value_of(mixer: str, layers: int) -> float:
    """The paper's mean."""
    value = PUBLISHED[mixer, layers].value
    assert value is not None
    return value


STUDY = Study(
    name="minrnn-layers",
    claim="One layer of minGRU or minLSTM copies little; from the second on gates depend on the past, and copy most.",
    source=f"{PAPER}, Table 1; from memory but for the row of three layers, which an independent note repeats",
    times={"smoke": "1 s of CPU time", "small": "about 16 min of CPU time"},
    plan=plan,
    read=read,
)
