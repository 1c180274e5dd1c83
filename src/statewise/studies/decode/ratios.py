"""What follows from seconds of steps: ratios within rounds, and the position from which one model is faster."""

import statistics
from collections.abc import Mapping, Sequence

from statewise.studies.decode.measuring import Rounds

FLAT = 1.05
"""Goal: the time of a recurrent step at the last position over that at the first is at most this."""
FASTER = 3.0
"""Goal: a recurrent model's tokens per second over those of transformers' Mamba are at least this, on a CPU."""


def paired(over: Sequence[float], under: Sequence[float]) -> float:
    """The median over rounds of a ratio within each.

    >>> paired([2.0, 20.0, 4.0], [1.0, 10.0, 1.0])
    2.0
    """
    return statistics.median(one / other for one, other in zip(over, under, strict=True))


def flatness(of_model: Mapping[int, Sequence[float]]) -> tuple[int, int, float] | None:
    """The first and the last position, and the last one's seconds over the first one's; None with one position.

    >>> flatness({64: [1.0, 2.0], 1024: [1.0, 2.0], 65536: [1.1, 2.2]})
    (64, 65536, 1.1)
    """
    first, last = min(of_model), max(of_model)
    return None if first == last else (first, last, paired(of_model[last], of_model[first]))


def times_as_fast(ours: Mapping[int, Sequence[float]], theirs: Mapping[int, Sequence[float]]) -> dict[int, float]:
    """How many times as many tokens per second ours writes as theirs, by the positions that both have.

    >>> times_as_fast({64: [1.0], 256: [1.0]}, {64: [3.0]})
    {64: 3.0}
    """
    return {position: paired(theirs[position], ours[position]) for position in sorted(set(ours) & set(theirs))}


def crossover(recurrent: Mapping[int, Sequence[float]], attention: Mapping[int, Sequence[float]]) -> float | None:
    """The position from which on the recurrent model's step is shorter; None where it is not at the last one of both.

    Between two positions the difference is taken to be a straight line, as a cost that is a constant and one for each
    token of a cache is. The first position of both means there or before.

    >>> crossover({0: [2.0], 100: [2.0]}, {0: [1.0], 100: [5.0]})
    25.0
    """
    positions = sorted(set(recurrent) & set(attention))
    gains = [statistics.median(attention[each]) - statistics.median(recurrent[each]) for each in positions]
    if not gains or gains[-1] <= 0:
        return None
    slower = [place for place, gain in enumerate(gains) if gain <= 0]
    if not slower:
        return float(positions[0])
    before, after = slower[-1], slower[-1] + 1
    share = -gains[before] / (gains[after] - gains[before])
    return positions[before] + share * (positions[after] - positions[before])


def tokens_per_second(batch: int, rounds: Rounds, label: str, position: int) -> float:
    """Of the whole batch, from the median over rounds.

    >>> tokens_per_second(16, {"mingru": {64: [0.1, 0.2, 0.3]}}, "mingru", 64)
    80.0
    """
    return batch / statistics.median(rounds[label][position])
