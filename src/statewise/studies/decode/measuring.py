"""Decoding measured: what one cell of the table weighs, and how long a token takes in each, in turns.

    weigh          one model, one batch, one position; in a process of the model's and batch's own, for its peak
    time_rounds    all models and positions of one batch in one process, a few tokens each in turn, in every round: what
                   else runs on the machine slows all of them alike, and ratios within a round hold
    time_generate  the same of the call that users of a library make, after a short prompt

How a position is reached: by reading that many tokens, where that is at most a limit. Above it a batch is one
sequence that was read and repeated, or, where one sequence is above it too, a state that does not grow is that after
as many tokens as the limit, and a cache is zeros.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from statewise.core.random import child_seed
from statewise.ops.memory import keep_freed_memory
from statewise.studies.decode.contenders import VOCABULARY
from statewise.studies.decode.decoder import Decodes
from statewise.studies.environment import peak_memory, watch_memory
from statewise.studies.measurement import Numbers

STEPS = 8
"""Tokens written from a position before it is gone back to: few, so that what is timed is that position."""
LEAST, MOST = 0.03, 0.5
"""Seconds of a visit: it goes back for more tokens below the one, and ends early above the other."""
GENERATED = 32
"""Tokens that `generate` is asked for beyond its first."""
READ, REPEATED, SHORTER, ZEROS = "read", "repeated", "shorter", "zeros"


def weigh(decoder: Decodes, *, grows: bool, batch: int, position: int, limit: int, held: int) -> Numbers:
    """Seconds to the first token (None where the context was not read), peak bytes, and bytes of state of a sequence.

    The peak is what the process holds at most beyond `held`, the bytes that it had with the model alone: while it
    reads, where it reads the whole batch, and while it writes two tokens. What the allocator kept of an earlier
    position counts, so positions ascend.
    """
    watch_memory()
    first = None
    if batch * position <= limit:
        tokens, begun = tokens_of(batch, position), time.perf_counter()
        token, state = decoder.read(tokens)
        first, how = time.perf_counter() - begun, READ
    else:
        state, how = reached(decoder, grows=grows, batch=batch, position=position, limit=limit)
        token = tokens_of(batch, 1)[:, 0]
        watch_memory()
    carried = decoder.state_bytes(state)
    for _ in range(2):
        token, state = decoder.step(token, state)
    return {
        "parameters": decoder.parameters,
        "first": first,
        "peak": max(0, peak_memory() - held),
        "state": carried,
        "how": how,
    }


def reached(decoder: Decodes, *, grows: bool, batch: int, position: int, limit: int) -> tuple[Any, str]:
    """The state of a batch at a position, and how it was reached."""
    if position > limit and grows:
        return decoder.filled(batch, position), ZEROS
    _, state = decoder.read(tokens_of(1, max(1, min(position, limit))))
    how = SHORTER if position > limit else READ if batch == 1 else REPEATED
    return decoder.repeated(state, batch), how


def tokens_of(batch: int, length: int) -> Tensor:
    """Random tokens (B, T), the same ones every time."""
    generator = torch.Generator().manual_seed(child_seed(0, "tokens"))
    return torch.randint(VOCABULARY, (batch, length), generator=generator)


class Place(NamedTuple):
    """A model at a position, with the state that it has there."""

    label: str
    position: int
    decoder: Decodes
    state: Any


Rounds = dict[str, dict[int, list[float]]]
"""Median seconds of a step in every round, by label and position."""


def time_rounds(places: Sequence[Place], *, batch: int, rounds: int) -> Rounds:
    """Median seconds of a step at every place, in every round, after one round that is not counted.

    Rounds go to and fro, so that no model always follows the same other.
    """
    keep_freed_memory()
    found: Rounds = {}
    token = tokens_of(batch, 1)[:, 0]
    for turn in range(rounds + 1):
        for place in places if turn % 2 else reversed(places):
            seconds = visit(place, token)
            if turn:
                found.setdefault(place.label, {}).setdefault(place.position, []).append(seconds)
    return found


def visit(place: Place, token: Tensor) -> float:
    """The median over some steps at a place, all but the first: others' numbers were in the processor's cache then."""
    times: list[float] = []
    begun = time.perf_counter()
    while not times or time.perf_counter() - begun < LEAST:
        at, state = place.decoder.step(token, place.decoder.back_at(place.state, place.position))
        for _ in range(STEPS):
            start = time.perf_counter()
            at, state = place.decoder.step(at, state)
            times.append(time.perf_counter() - start)
            if time.perf_counter() - begun > MOST:
                break
    place.decoder.back_at(place.state, place.position)
    return statistics.median(times)


Generated = dict[str, list[float]]
"""Seconds of a token of `generate` in every round, by label."""


def time_generate(decoders: Mapping[str, Decodes], *, batch: int, position: int, rounds: int) -> Generated:
    """Seconds that each of GENERATED tokens takes by `generate` after a prompt of `position`, in every round.

    They are what the call takes beyond one for a single token, so that reading the prompt is not among them. Models
    take turns, after one round that is not counted.
    """
    found: Generated = {label: [] for label in decoders}
    prompt = tokens_of(batch, position)
    for turn in range(rounds + 1):
        for label, decoder in decoders.items():
            first, all_of_them = (seconds_of(decoder, prompt, length) for length in (1, 1 + GENERATED))
            if turn:
                found[label].append(max(0.0, all_of_them - first) / GENERATED)
    return found


def seconds_of(decoder: Decodes, prompt: Tensor, length: int) -> float:
    """Of one call of `generate`."""
    begun = time.perf_counter()
    decoder.generate(prompt, length)
    return time.perf_counter() - begun
