"""minrnn-forget-bias: a minLSTM whose forget gate starts open learns sooner and more steadily."""

from collections.abc import Callable

from statewise.core.events import Evaluated
from statewise.runs.findings import Chart, Findings, Published, Quantity
from statewise.studies.minrnn.copying import NOTES, accuracies, copying_runs
from statewise.studies.minrnn.curves import curve_of, mean_loss, rises
from statewise.studies.minrnn.known import PAPER, SEEN
from statewise.studies.run_config import RunConfig
from statewise.studies.study import TOO_SHORT, Study, Trained

BIASES = (0.0, 3.0, 5.0)
DEFAULT = 3.0
"""Of the mixer and of the authors' code: written as no setting, so that its runs are those of minrnn-layers."""

LAYERS = 3

SOONER = Published(words="below 1: larger is faster", known=SEEN, high=1.0)
STEADIER = Published(words="at most 0: larger is steadier", known=SEEN, high=0.0)
MORE_STABLE = Published(words="at most 0: minGRU is more stable", known=SEEN, high=0.0)


def runs_of(scale: str, bias: float) -> list[RunConfig]:
    """minLSTM with one bias."""
    return copying_runs(scale, "minlstm", LAYERS, *(() if bias == DEFAULT else (f"forget_bias={bias}",)))


def min_gru_runs(scale: str) -> list[RunConfig]:
    """minGRU, which has one gate and no such bias."""
    return copying_runs(scale, "mingru", LAYERS)


def plan(scale: str) -> list[RunConfig]:
    """Every bias, and minGRU to compare with."""
    return [*(run for bias in BIASES for run in runs_of(scale, bias)), *min_gru_runs(scale)]


def read(scale: str, trained: Trained) -> Findings:
    """What each bias ends at, whether the largest is sooner and steadier than none, and the curves."""
    incomparable = TOO_SHORT if scale == "smoke" else ""

    def compared(name: str, values: tuple[float, ...], published: Published) -> Quantity:
        return Quantity(name=name, values=values, published=published, incomparable=incomparable)

    none, most, default = (runs_of(scale, bias) for bias in (BIASES[0], BIASES[-1], DEFAULT))
    return Findings(
        quantities=(
            compared(
                f"mean loss on the way, bias {BIASES[-1]:g} over bias {BIASES[0]:g}",
                by_seed(trained, most, none, lambda one, other: mean_loss(one) / mean_loss(other)),
                SOONER,
            ),
            compared(
                f"rises of the loss, bias {BIASES[-1]:g} less bias {BIASES[0]:g}",
                by_seed(trained, most, none, lambda one, other: rises(one) - rises(other)),
                STEADIER,
            ),
            compared(
                f"rises of the loss, minGRU less minLSTM of bias {DEFAULT:g}",
                by_seed(trained, min_gru_runs(scale), default, lambda one, other: rises(one) - rises(other)),
                MORE_STABLE,
            ),
            *(
                Quantity(
                    name=f"accuracy at the end, bias {bias:g}",
                    values=tuple(accuracies(trained, runs_of(scale, bias)).values()),
                )
                for bias in BIASES
            ),
        ),
        charts=(chart_of(scale, trained),),
        notes=(*OWN_NOTES, *NOTES, *trained.missing()),
    )


def by_seed(
    trained: Trained,
    runs: list[RunConfig],
    others: list[RunConfig],
    compare: Callable[[list[Evaluated], list[Evaluated]], float],
) -> tuple[float, ...]:
    """What two runs of one seed come to on their way, for each seed of which both finished and were evaluated."""
    events = [
        {run.seed: found for run in trained.finished(group) if (found := trained.evaluations(run))}
        for group in (runs, others)
    ]
    return tuple(compare(events[0][seed], events[1][seed]) for seed in events[0] if seed in events[1])


def chart_of(scale: str, trained: Trained) -> Chart:
    """Loss on the validation split against steps."""
    return Chart(
        name="steps",
        title="Selective copying by the forget gate's initial bias",
        x_label="steps",
        y_label="loss in nats, validation",
        curves=(
            *(
                curve_of(trained, runs_of(scale, bias), f"minLSTM, bias {bias:g}", lambda event: event.loss)
                for bias in BIASES
            ),
            curve_of(trained, min_gru_runs(scale), "minGRU", lambda event: event.loss),
        ),
    )


OWN_NOTES = (
    "The paper shows curves (its Figure 5) of which no numbers are known to us, nor the task: here it is "
    "selective copying. Sooner is read as a lower mean of the validation losses on the way, steadier as smaller "
    "rises between them.",
    "The bias is added to the forget gate's, under the normalised gates f/(f+i) and i/(f+i).",
)

STUDY = Study(
    name="minrnn-forget-bias",
    claim="The larger the forget gate's initial bias, the sooner and the more steadily minLSTM learns.",
    source=f"{PAPER}, Figure 5: curves, and what the text says of them",
    times={"smoke": "2 s of CPU time", "small": "about 17 min of CPU time, estimated from a few steps"},
    plan=plan,
    read=read,
)
