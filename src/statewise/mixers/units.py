"""How many units a recurrence has: a multiple of the width, or a number of its own."""

from statewise.core.errors import UsageError


def units_of(mixer: str, width: int, expansion: int, units: int | None) -> int:
    """`units`, or `expansion` · `width` where that is None. Less than one of either is a UsageError.

    >>> units_of("LRU", 8, 2, None), units_of("LRU", 8, 2, 5)
    (16, 5)
    """
    if expansion < 1:
        raise UsageError(f"{mixer}: expansion is {expansion}; it must be at least 1")
    if units is not None and units < 1:
        raise UsageError(f"{mixer}: units is {units}; it must be at least 1, or None for expansion · width")
    return expansion * width if units is None else units


def require_ring(mixer: str, r_min: float, r_max: float) -> None:
    """Raise a UsageError unless 0 ≤ r_min ≤ r_max ≤ 1 and r_min < 1, the magnitudes between which decays start.

    >>> require_ring("LRU", 0.0, 1.0)
    """
    if not (0 <= r_min <= r_max <= 1 and r_min < 1):
        raise UsageError(
            f"{mixer}: r_min is {r_min} and r_max is {r_max}; they must be 0 <= r_min <= r_max <= 1, r_min < 1"
        )
