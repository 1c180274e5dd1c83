"""minrnn-inference: what a context costs before the first token, and what one token costs without any.

A context is read at once, by scans or by torch's own kernels; a token after it is one step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from statewise.ops.memory import keep_freed_memory
from statewise.runs.findings import Chart, Curve, Findings, Published, Quantity, around
from statewise.studies.measurement import Measured, Measurement, Numbers
from statewise.studies.minrnn.clock import seconds_of
from statewise.studies.minrnn.contenders import MIN_GRU, MIN_LSTM, MIXERS, OWN_GRU, OWN_LSTM
from statewise.studies.minrnn.known import PAPER, SEEN
from statewise.studies.minrnn.machines import GPU_THERE, machine_notes
from statewise.studies.study import TOO_SHORT, Study, Trained

MAMBA = "Mamba"
READERS = (MIN_GRU, MIN_LSTM, MAMBA, OWN_GRU, OWN_LSTM)
SHARE = 0.25
"""A share of another's time agrees where it is off by at most so much of it."""

OF_MAMBA = {
    MIN_GRU: {8: 93.4, 16: 95.9, 32: 95.1, 64: 97.1},
    MIN_LSTM: {8: 103.6, 16: 102.9, 32: 100.0, 64: 101.3},
}
"""Percent of Mamba's time, by batch: published as faster by 6.6, 4.1, 4.9, 2.9 % and slower by 3.6, 2.9, 0, 1.3 %."""

OF_TRADITIONAL = {(MIN_GRU, OWN_GRU): 80.4, (MIN_LSTM, OWN_LSTM): 58.5}
"""Percent of its time without a context, batch 64: published as faster by 19.6 and 41.5 %."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the study is.

    contexts  tokens read before the one that is timed with them
    rounds    medians for each case, the values of a quantity
    repeats   runs that each median is of
    """

    batches: tuple[int, ...]
    width: int
    contexts: tuple[int, ...]
    rounds: int
    repeats: int


SCALES = {
    "smoke": Scale(batches=(2,), width=8, contexts=(8, 16), rounds=1, repeats=1),
    "small": Scale(batches=(8, 16, 32, 64), width=64, contexts=(128, 512, 2048), rounds=3, repeats=5),
    "paper": Scale(batches=(8, 16, 32, 64), width=64, contexts=(128, 512, 1024, 2048), rounds=3, repeats=50),
}


def measurements(scale: str) -> list[Measurement]:
    """One for each layer and batch."""
    asked = SCALES[scale]
    return [
        Measurement(
            work=infer,
            settings={
                "layer": name,
                "batch": batch,
                "width": asked.width,
                "contexts": list(asked.contexts),
                "rounds": asked.rounds,
                "repeats": asked.repeats,
            },
        )
        for name in READERS
        for batch in asked.batches
    ]


@torch.inference_mode()
def infer(layer: str, batch: int, width: int, contexts: Sequence[int], rounds: int, repeats: int) -> Numbers:
    """Seconds in every round: of each context and a token after it, of that token alone, and of one after none."""
    keep_freed_memory()
    torch.manual_seed(0)
    mixer, token = MIXERS[layer](width), torch.ones(batch, width)

    def timed(work: Callable[..., object], *given: object) -> list[float]:
        work(*given)
        return [seconds_of(partial(work, *given), repeats=repeats) for _ in range(rounds)]

    def read_on(context: Tensor) -> None:
        _, state = mixer(context)
        mixer.step(token, state)

    found: Numbers = {"none": timed(mixer.step, token, mixer.initial_state(batch)), "read": [], "after": []}
    for length in contexts:
        context = torch.ones(batch, length, width)
        _, state = mixer(context)
        found["after"].append(timed(mixer.step, token, state))
        found["read"].append(timed(read_on, context))
    return found


Found = dict[tuple[str, int], Measured]
"""By layer and batch."""


def read(scale: str, trained: Trained) -> Findings:
    """Both comparisons of the paper, and whether a token costs more after more tokens."""
    asked = SCALES[scale]
    found: Found = {
        (each.settings["layer"], each.settings["batch"]): trained.measured[each.key] for each in measurements(scale)
    }
    incomparable = TOO_SHORT if scale == "smoke" else GPU_THERE
    return Findings(
        quantities=(*contexts_read(asked, found, incomparable), *tokens_alone(asked, found, incomparable)),
        charts=(chart_of(asked, found),),
        notes=(*NOTES, *machine_notes(found.values())),
    )


def contexts_read(asked: Scale, found: Found, incomparable: str) -> list[Quantity]:
    """Minimal layers against Mamba, at every batch, after the longest context."""
    return [
        Quantity(
            name=f"{name}: percent of Mamba's time, {asked.contexts[-1]} tokens and one, batch {batch}",
            values=percents(found[name, batch].numbers["read"][-1], found[MAMBA, batch].numbers["read"][-1]),
            published=None if batch not in known else around(known[batch], SEEN, share=SHARE),
            logarithmic=True,
            incomparable=incomparable,
        )
        for name, known in OF_MAMBA.items()
        for batch in asked.batches
    ]


def tokens_alone(asked: Scale, found: Found, incomparable: str) -> list[Quantity]:
    """Minimal layers against traditional ones without a context, and against themselves after the longest one."""
    batch = asked.batches[-1]
    lines: list[tuple[str, list[float], list[float], Published | None]] = [
        (
            f"{name}: percent of {traditional}'s time, one token, batch {batch}",
            found[name, batch].numbers["none"],
            found[traditional, batch].numbers["none"],
            around(percent, SEEN, share=SHARE),
        )
        for (name, traditional), percent in OF_TRADITIONAL.items()
    ]
    for name in (MIN_GRU, MIN_LSTM):
        after, first = (found[name, batch].numbers["after"][place] for place in (-1, 0))
        title = f"{name}: one token after {asked.contexts[-1]}, percent of one after {asked.contexts[0]}, batch {batch}"
        lines.append((title, after, first, None))
    return [
        Quantity(
            name=title,
            values=percents(over, under),
            published=published,
            logarithmic=True,
            incomparable=incomparable,
        )
        for title, over, under, published in lines
    ]


def percents(over: Sequence[float], under: Sequence[float]) -> tuple[float, ...]:
    """Round by round.

    >>> percents([1.0, 3.0], [2.0, 3.0])
    (50.0, 100.0)
    """
    return tuple(100 * one / other for one, other in zip(over, under, strict=True))


def chart_of(asked: Scale, found: Found) -> Chart:
    """Milliseconds against the context, at the largest batch."""
    batch = asked.batches[-1]
    return Chart(
        name="context",
        title=f"A context and the token after it, batch {batch}, width {asked.width}",
        x_label="tokens in the context",
        y_label="milliseconds",
        curves=tuple(
            Curve(
                label=name,
                points=tuple(
                    (float(length), tuple(1e3 * seconds for seconds in rounds))
                    for length, rounds in zip(asked.contexts, found[name, batch].numbers["read"], strict=True)
                ),
            )
            for name in READERS
        ),
    )


NOTES = (
    "Faster by p % is read as p % less time. The paper's are medians or means of 50 runs, up to 2,048 tokens; at "
    "which context its percents hold, its width and its layers are not known.",
    "Mamba there is its CUDA kernel, here our own of C++; GRU and LSTM are torch's own here, plain cells there.",
    "The last lines have no published value: a state of constant size makes a token cost the same after any context.",
)

STUDY = Study(
    name="minrnn-inference",
    claim="minGRU and minLSTM infer about as fast as Mamba behind any context, and faster than a GRU and an LSTM.",
    source=f"{PAPER}, appendix D.2",
    times={"smoke": "1 s of CPU time, and 5 processes besides"},
    measurements=measurements,
    read=read,
)
