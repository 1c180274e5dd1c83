"""How values of the minimal-RNN paper are known, and when a measured one agrees with them."""

from statewise.runs.findings import Published

PAPER = "Feng, Tung, Ahmed, Bengio, Hajimirsadeghi, arXiv 2410.01201"
SEEN = "seen in a translation of the paper"
NOTED = "seen in an independent note"
MEMORY = "from memory"
FAINT = "from memory, faintly"

SPREADS, LEAST = 3, 0.03
"""An accuracy agrees within so many of the published ±, and always within so much."""

SMALLER = "a shorter task and a smaller model than the paper's"


def accuracy(value: float, spread: float, known: str) -> Published:
    """A published accuracy with its ±, both shares of 1, and what agrees with it.

    >>> round(accuracy(0.37, 0.023, "from memory").low, 3)
    0.301
    """
    around = max(SPREADS * spread, LEAST)
    return Published(value=value, known=known, low=value - around, high=min(1.0, value + around))


def least(value: float, known: str, *, low: float) -> Published:
    """A published difference that a mean agrees with from `low` on: the trend, where values depend on the scale."""
    return Published(value=value, known=known, low=low)
