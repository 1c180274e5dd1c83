"""minrnn-speed: forward and backward time, and memory, against the length of the sequence.

Each layer is measured in a process of its own, at the lengths in rising order, so that the most memory that the process
has held is that of the length it is at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch

from statewise.ops.memory import keep_freed_memory
from statewise.runs.findings import Chart, Curve, Findings, Published, Quantity
from statewise.studies.environment import peak_memory
from statewise.studies.measurement import Measured, Measurement, Numbers
from statewise.studies.minrnn.clock import seconds_of
from statewise.studies.minrnn.contenders import (
    CONTENDERS,
    LOOPED_GRU,
    LOOPED_LSTM,
    MIN_GRU,
    MIN_LSTM,
    OWN_GRU,
    OWN_LSTM,
    build,
)
from statewise.studies.minrnn.known import PAPER, SEEN
from statewise.studies.minrnn.machines import GPU_THERE, machine_notes
from statewise.studies.study import TOO_SHORT, Study, Trained


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the study is.

    rounds   medians for each length, the values of a quantity
    repeats  runs that each median is of; those of loops over time apart, which take as long as many
    """

    batch: int
    width: int
    lengths: tuple[int, ...]
    rounds: int
    repeats: int
    loop_repeats: int


SCALES = {
    "smoke": Scale(batch=2, width=8, lengths=(8, 16), rounds=1, repeats=1, loop_repeats=1),
    "small": Scale(batch=8, width=64, lengths=(128, 512, 2048, 4096), rounds=3, repeats=3, loop_repeats=1),
    "paper": Scale(batch=64, width=64, lengths=(512, 1024, 2048, 4096), rounds=3, repeats=100, loop_repeats=100),
}

SHORTEST = 4
"""A length that is run before anything is measured."""


def measurements(scale: str) -> list[Measurement]:
    """One for each layer."""
    asked = SCALES[scale]
    return [
        Measurement(
            work=train_steps,
            settings={
                "layer": name,
                "batch": asked.batch,
                "width": asked.width,
                "lengths": list(asked.lengths),
                "rounds": asked.rounds,
                "repeats": asked.loop_repeats if "loop" in name else asked.repeats,
            },
        )
        for name in CONTENDERS
    ]


def train_steps(layer: str, batch: int, width: int, lengths: Sequence[int], rounds: int, repeats: int) -> Numbers:
    """Seconds of forward and backward, and bytes above those before any length, for each length."""
    keep_freed_memory()
    torch.manual_seed(0)
    run = build(layer, width)

    def step(length: int) -> None:
        run(torch.ones(batch, length, width, requires_grad=True)).sum().backward()

    step(SHORTEST)
    before = peak_memory()
    found: Numbers = {"seconds": [], "bytes": []}
    for length in lengths:
        step(length)
        found["bytes"].append(peak_memory() - before)
        found["seconds"].append([seconds_of(partial(step, length), repeats=repeats) for _ in range(rounds)])
    return found


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """The time, or the memory, of one layer over that of another at one length."""

    over: str
    under: str
    what: str
    length: int
    published: Published | None = None

    @property
    def name(self) -> str:
        """As the table has it."""
        return f"{self.what}: {self.over} over {self.under}, T = {self.length}"


def ratios(asked: Scale) -> list[Ratio]:
    """The paper's at the lengths that the scale has, against torch's own kernels at all, and of memory at the last."""
    return [
        *(
            Ratio(over=over, under=under, what="time", length=length, published=published)
            for (over, under, length), published in PUBLISHED.items()
            if length in asked.lengths
        ),
        *(
            Ratio(over=over, under=under, what="time", length=length)
            for over, under in ((OWN_GRU, MIN_GRU), (OWN_LSTM, MIN_LSTM))
            for length in asked.lengths
        ),
        *(
            Ratio(over=over, under=under, what="memory", length=asked.lengths[-1], published=published)
            for (over, under), published in MEMORIES.items()
        ),
    ]


def seen(value: float, *, low: float) -> Published:
    """A ratio of the paper's, and the least that says the same."""
    return Published(value=value, known=SEEN, low=low)


PUBLISHED = {
    (LOOPED_GRU, MIN_GRU, 512): seen(175, low=10),
    (LOOPED_GRU, MIN_GRU, 4096): seen(1324, low=10),
    (LOOPED_LSTM, MIN_LSTM, 512): seen(235, low=10),
    (LOOPED_LSTM, MIN_LSTM, 4096): seen(1361, low=10),
    ("Mamba", MIN_GRU, 512): Published(value=2.71 / 2.72, known=SEEN, low=0.8, high=1.25),
    ("Mamba", MIN_GRU, 4096): Published(value=3.15 / 3.25, known=SEEN, low=0.8, high=1.25),
    ("Mamba", MIN_LSTM, 512): Published(value=2.71 / 2.97, known=SEEN, low=0.8, high=1.25),
    ("Mamba", MIN_LSTM, 4096): Published(value=3.15 / 3.41, known=SEEN, low=0.8, high=1.25),
}
"""Times of §4.1: ratios to the loops as the prose has them, Mamba's from its milliseconds."""

MEMORIES = {
    (MIN_GRU, LOOPED_GRU): seen(1.88, low=1.0),
    (MIN_LSTM, LOOPED_LSTM): seen(1.88, low=1.0),
    ("Mamba", MIN_GRU): seen(1.56, low=1.0),
}
"""About +88 % of minimal layers over traditional ones, and +56 % of Mamba over minGRU; the length is not known."""


def read(scale: str, trained: Trained) -> Findings:
    """The ratios, and time and memory as charts."""
    asked = SCALES[scale]
    found = {each.settings["layer"]: trained.measured[each.key] for each in measurements(scale)}
    return Findings(
        quantities=tuple(
            Quantity(
                name=ratio.name,
                values=values_of(ratio, found, asked),
                published=ratio.published,
                logarithmic=True,
                incomparable=TOO_SHORT if scale == "smoke" else GPU_THERE,
            )
            for ratio in ratios(asked)
        ),
        charts=(
            chart_of(
                "time",
                "milliseconds, forward and backward",
                asked,
                {name: milliseconds(each) for name, each in found.items()},
            ),
            chart_of(
                "memory", "MiB above the layer at rest", asked, {name: mebibytes(each) for name, each in found.items()}
            ),
        ),
        notes=(*NOTES, *machine_notes(found.values())),
    )


def values_of(ratio: Ratio, found: dict[str, Measured], asked: Scale) -> tuple[float, ...]:
    """The ratio in each round; of memory there is one, and none where nothing was seen of either layer's."""
    table = milliseconds if ratio.what == "time" else mebibytes
    place = asked.lengths.index(ratio.length)
    over, under = (table(found[name])[place] for name in (ratio.over, ratio.under))
    return tuple(one / other for one, other in zip(over, under, strict=False))


def milliseconds(measured: Measured) -> list[tuple[float, ...]]:
    """For each length, those of every round."""
    return [tuple(1e3 * seconds for seconds in rounds) for rounds in measured.numbers["seconds"]]


def mebibytes(measured: Measured) -> list[tuple[float, ...]]:
    """For each length; none where so little was taken that nothing was seen of it."""
    return [(number / 2**20,) if number > 0 else () for number in measured.numbers["bytes"]]


def chart_of(name: str, y_label: str, asked: Scale, found: dict[str, list[tuple[float, ...]]]) -> Chart:
    """One line for each layer."""
    return Chart(
        name=name,
        title=f"One layer, batch {asked.batch}, width {asked.width}",
        x_label="tokens",
        y_label=y_label,
        curves=tuple(
            Curve(label=label, points=tuple(zip(map(float, asked.lengths), values, strict=True)))
            for label, values in found.items()
        ),
    )


NOTES = (
    "The paper's loops are plain PyTorch cells, as ours here; it leaves out torch's own GRU and LSTM, which stand "
    "beside. Its numbers are means over 100 runs on a T4 of 16 GB at batch 64; width and layers are not known.",
    "Mamba there is its CUDA kernel, here our own of C++. All layers here are the mixers with default settings: "
    "minGRU and minLSTM with a map back to the width, Mamba with expansion 2.",
    "Memory is the most that the process held beyond what it held before any length, in steps of pages; freed "
    "memory is kept, as in training.",
    "Ranges: a loop counts as slow from ten times on, Mamba as equal within 25 %, memory as larger from 1 on.",
)

STUDY = Study(
    name="minrnn-speed",
    claim="A training step of minGRU or minLSTM hardly grows with the length; one of a looped GRU or LSTM does.",
    source=f"{PAPER}, §4.1 and Figure 1",
    times={"smoke": "2 s of CPU time, and 8 processes besides"},
    measurements=measurements,
    read=read,
)
