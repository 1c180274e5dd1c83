"""statewise capacity --hf: what a pretrained model's state gives back of pairs that stood in its prompt."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from statewise.capacity import Reading, check_strings, measure
from statewise.cli.console import console
from statewise.core.errors import UsageError
from statewise.tasks import IndexLookup

AT_ONCE = 256
"""Sequences that are read or asked at once: states of pretrained models are large."""

HEADINGS = ("seed", "size", "required bits", "recovered bits", "at least", "state bits", "recovered / state")


def read_pretrained(
    folder: Path, *, alphabet: int, sizes: Sequence[int], strings: int | None, seeds: Sequence[int]
) -> int:
    """Measure a pretrained model in a local folder, print a table, and return the exit status."""
    from statewise.hf.folders import quiet_pipes
    from statewise.hf.pairs import CachedPairs, open_pairs

    quiet_pipes()
    if not sizes or not seeds:
        raise UsageError(f"capacity: sizes is {tuple(sizes)} and seeds is {tuple(seeds)}; each needs at least one")
    for size in sizes:
        check_strings(IndexLookup(alphabet=alphabet), size, strings)
    table = Table(*HEADINGS, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in table.columns:
        column.justify, column.no_wrap = "right", True
    for seed in seeds:
        pairs, words = open_pairs(folder, alphabet=alphabet, places=max(sizes), seed=seed)
        readings = measure(pairs, alphabet=alphabet, sizes=tuple(sizes), strings=strings, seed=seed, at_once=AT_ONCE)
        for reading in readings:
            table.add_row(str(seed), *cells(reading))
    out = console()
    out.print(f"{folder}: pairs of {words}, one of {alphabet} values behind each key\n", soft_wrap=True)
    out.print(table)
    out.print(
        "  At least: a limit that holds for all sizes of a seed together with 95 % confidence over strings (empirical "
        "Bernstein, Bonferroni).",
        soft_wrap=True,
    )
    if not isinstance(pairs, CachedPairs):
        out.print(
            "  State: not counted, for this model carries something that no cache of it holds. `statewise convert` "
            "makes it one whose state is counted, where it converts.",
            soft_wrap=True,
        )
    return 0


def cells(reading: Reading) -> list[str]:
    """A reading's texts, in the order of HEADINGS behind the seed.

    >>> cells(Reading(2, 4, 1.5, 0.5, 64, 0, 4.0, 16, False))
    ['2', '4.0', '1.5', '0.5', '64', '2.34 %']
    """
    counted = reading.state_bits is not None and reading.utilisation is not None
    return [
        str(reading.size),
        f"{reading.required_bits:,.1f}",
        f"{reading.recovered_bits:,.1f}",
        "exact" if reading.exact else f"{max(0.0, reading.at_least):,.1f}",
        f"{reading.state_bits:,}" if counted else "not counted",
        f"{reading.utilisation:.2%}".replace("%", " %") if counted else "-",
    ]
