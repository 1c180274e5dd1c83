"""aaren-memory: what a block carries from token to token, and what reading tokens one by one costs in all.

Nothing is trained: bytes are counted from the tensors of the state, and times are those of the process on one thread.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from statewise.core.random import child_seed, seeded
from statewise.core.state import state_bits
from statewise.mixers import find_mixer
from statewise.models import Block
from statewise.models.block import BlockState
from statewise.runs.findings import Chart, Curve, Findings, Published, Quantity
from statewise.studies.measurement import Measurement, Numbers
from statewise.studies.study import Study, Trained
from statewise.studies.threads import threads

WIDTH = 512
FEED_FORWARD = 4
"""The one block whose parameters are the published ones: 12·512² + 13·512, and 512 more for the query of Aaren."""

MIXERS = {"Aaren": "aaren", "Transformer": "attention"}
PARAMETERS = {"Aaren": 3_152_896, "Transformer": 3_152_384}
WARMUP = 8
"""Tokens read before the clock starts: the first ones allocate."""

SEEN = "seen in notes on the paper"
TOO_FEW = "at smoke there are too few tokens for a growth to show"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How far a block reads: the numbers of tokens, each twice the one before, at which it is looked at."""

    lengths: tuple[int, ...]
    repetitions: int


SCALES = {
    "smoke": Scale(lengths=(8, 16, 32), repetitions=1),
    "small": Scale(lengths=(256, 512, 1024, 2048), repetitions=3),
    "paper": Scale(lengths=(256, 512, 1024, 2048, 4096, 8192, 16_384), repetitions=5),
}


class Trace(NamedTuple):
    """What one block carried and had cost after each number of tokens."""

    state_bytes: tuple[int, ...]
    seconds: tuple[float, ...]


Found = dict[str, list[Trace]]
"""A trace for each repetition, by the label of the block."""


def measurements(scale: str) -> list[Measurement]:
    """Both blocks in turn, as often as the scale says, each time with weights and tokens of its own."""
    asked = SCALES[scale]
    return [
        Measurement(work=decode, settings={"block": label, "lengths": list(asked.lengths), "seed": seed})
        for seed in range(asked.repetitions)
        for label in MIXERS
    ]


def decode(block: str, lengths: Sequence[int], seed: int) -> Numbers:
    """Read tokens one by one on one thread: bytes carried and seconds of CPU time after each of the lengths."""
    with threads(1):
        return trace_of(block_of(block, seed), lengths, seed=seed, clock=time.process_time)._asdict()


def block_of(label: str, seed: int) -> Block:
    """The block of a label, at random weights."""
    with seeded(child_seed(seed, "weights")):
        mixer = find_mixer(MIXERS[label])(WIDTH)
        return Block(mixer, feed_forward=FEED_FORWARD, conv=0, norm="layer")


@torch.no_grad()
def trace_of(block: Block, lengths: Sequence[int], *, seed: int, clock: Callable[[], float]) -> Trace:
    """Read random tokens one by one, and look at the state and the clock after each of the lengths."""
    generator = torch.Generator().manual_seed(child_seed(seed, "tokens"))
    tokens = torch.randn(lengths[-1], 1, WIDTH, generator=generator)
    read_on(block, block.initial_state(1), tokens[:WARMUP])
    state, carried, seconds = block.initial_state(1), [], []
    begun = clock()
    for before, length in pairwise((0, *lengths)):
        state = read_on(block, state, tokens[before:length])
        seconds.append(clock() - begun)
        carried.append(state_bits(state) // 8)
    return Trace(tuple(carried), tuple(seconds))


def read_on(block: Block, state: BlockState, tokens: Tensor) -> BlockState:
    """The state after more tokens (T, 1, D), one by one."""
    for token in tokens:
        _, state = block.step(token, state)
    return state


def read(scale: str, trained: Trained) -> Findings:
    """What was measured of both blocks."""
    found: Found = {label: [] for label in MIXERS}
    for asked in measurements(scale):
        numbers = trained.measured[asked.key].numbers
        found[asked.settings["block"]].append(Trace(tuple(numbers["state_bytes"]), tuple(numbers["seconds"])))
    return findings_of(scale, found)


def findings_of(scale: str, found: Found) -> Findings:
    """The table and the two charts."""
    lengths = SCALES[scale].lengths
    return Findings(
        quantities=(*parameter_quantities(), *growth_quantities(scale, found)),
        charts=(
            chart_of("memory", "bytes of state, one block", lengths, found, lambda trace: trace.state_bytes),
            chart_of("time", "seconds of CPU time, all tokens together", lengths, found, lambda trace: trace.seconds),
        ),
        notes=NOTES,
    )


def parameter_quantities() -> list[Quantity]:
    """The counts that say which block the paper measured."""
    return [
        Quantity(
            name=f"parameters, {label}",
            values=(float(sum(each.numel() for each in block_of(label, 0).parameters())),),
            published=Published(value=count, known=SEEN, low=count, high=count),
            exact=True,
        )
        for label, count in PARAMETERS.items()
    ]


def growth_quantities(scale: str, found: Found) -> list[Quantity]:
    """How memory and time grow over the last doubling; the accepted ranges were fixed before looking."""
    longest = SCALES[scale].lengths[-1]
    memory = {
        "Aaren": Published(words="constant", known=SEEN, low=1.0, high=1.0),
        "Transformer": Published(words="linear", known=SEEN, low=1.99, high=2.01),
    }
    time_spent = {
        "Aaren": Published(words="O(N): 1", known=SEEN, low=0.85, high=1.15),
        "Transformer": Published(words="O(N²): up to 2", known=SEEN, low=1.3, high=2.1),
    }
    return [
        *(
            Quantity(
                name=f"bytes of state at {longest:,} tokens over those at half, {label}",
                values=(traces[0].state_bytes[-1] / traces[0].state_bytes[-2],),
                published=memory[label],
                exact=True,
            )
            for label, traces in found.items()
        ),
        *(
            Quantity(
                name=f"exponent of all tokens' time, {longest // 2:,} to {longest:,}, {label}",
                values=tuple(math.log2(trace.seconds[-1] / trace.seconds[-2]) for trace in traces),
                published=time_spent[label],
                incomparable=TOO_FEW if scale == "smoke" else "",
            )
            for label, traces in found.items()
        ),
    ]


def chart_of(
    name: str, y_label: str, lengths: tuple[int, ...], found: Found, part: Callable[[Trace], tuple[float, ...]]
) -> Chart:
    """One part of the traces against tokens."""
    return Chart(
        name=name,
        title="Reading tokens one by one: Aaren and a Transformer's cache",
        x_label="tokens",
        y_label=y_label,
        curves=tuple(
            Curve(
                label=label,
                points=tuple(
                    (float(length), tuple(float(part(trace)[place]) for trace in traces))
                    for place, length in enumerate(lengths)
                ),
            )
            for label, traces in found.items()
        ),
    )


NOTES = (
    "The paper gives counts of parameters and no sizes: one block of width 512, four times as wide inside, with layer "
    "norms and biases, has exactly those counts, so that is what is measured, one sequence at a time.",
    "Values are repetitions, with weights and tokens of their own, not trained seeds. Time is CPU time of one thread.",
    "A token costs the Transformer its own matrix products, whatever came before, and its cache: the exponent of the "
    "sum goes from 1 to 2 as the cache outgrows the weights. Ours copies the cache when it grows by a token, which "
    "adds to that share and not to the exponent in the end.",
    "The lengths that the paper's figure spans are not known to us; at paper they are twice doubled, and no more is "
    "exact.",
)

STUDY = Study(
    name="aaren-memory",
    claim="Aaren reads on in constant memory and linear time in all; a Transformer's cache grows, its time squared.",
    source="Feng et al., arXiv 2405.13956, §4 and its figure of resources; known in words, parameters as numbers",
    times={"smoke": "6 s of CPU time, mostly imports", "small": "1.5 min of CPU time"},
    measurements=measurements,
    read=read,
)
