"""Where a measurement was made, in sentences."""

from collections.abc import Iterable

from statewise.studies.measurement import Measured

GPU_THERE = "the paper's is on a T4 GPU, this on a CPU"

BUSY = 0.5
"""Processes over the last minute from which on others had the cores."""


def machine_notes(measured: Iterable[Measured]) -> tuple[str, ...]:
    """The machine, and a warning where other work was going on."""
    found = list(measured)
    if not found:
        return ()
    machines = {
        f"{each.machine['processor']}, {each.machine['cores']} cores, {each.machine['threads']} threads, torch "
        f"{each.machine['torch']}"
        for each in found
    }
    most = max(each.load for each in found)
    warning = (f"Up to {most:.1f} other processes were running: times are not to be trusted.",) if most >= BUSY else ()
    return (f"Measured on {'; '.join(sorted(machines))}.", *warning)
