"""What the meter read, as a table and in sentences: recovered bits beside the bits of state."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from statewise.report.selection import result_at
from statewise.report.summary import Row, Summary
from statewise.report.table import share_of, spread

EVERYTHING = 0.98
"""Share of a string's bits from which on it counts as held: mixing in the uniform distribution costs a perfect reader
up to 0.4 % of them at an alphabet of 16, 1.5 % at 2."""

HEADINGS = ("model", "size", "recovered bits", "at least", "of the string", "state bits", "utilisation")


def measured(summary: Summary) -> list[Row]:
    """The rows that the meter read."""
    return [row for row in summary.rows if row.recovered is not None]


def render_capacity(summary: Summary) -> Table:
    """Model, size, recovered bits (mean over seeds), the lowest limit of any seed (or that there is nothing to limit),
    state bits and their quotient.
    """
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True)
    rows = measured(summary)
    for i, row in enumerate(rows):
        cells = capacity_cells(row, exact=every_string_was_read(row))
        table.add_row(*cells, end_section=i + 1 == len(rows) or rows[i + 1].stack != row.stack)
    return table


def every_string_was_read(row: Row) -> bool:
    """Whether all seeds' recovered bits are exact: only then is a limit as high as what it limits."""
    results = [result_at(record, row.size) for record in row.records]
    return all(result.recovered_at_least == result.recovered_bits for result in results)


def capacity_cells(row: Row, *, exact: bool) -> list[str]:
    """One row's texts, in the order of HEADINGS; what is exact has no limit.

    exact  whether every string was read
    """
    assert row.recovered is not None
    assert row.recovered_at_least is not None
    assert row.required_bits is not None
    return [
        row.stack,
        str(row.size),
        spread(row.recovered, 1),
        "exact" if exact else f"{max(0.0, row.recovered_at_least):,.1f}",
        share_of(row.recovered.mean, row.required_bits),
        f"{row.state_bits:,}",
        share_of(row.recovered.mean, row.state_bits),
    ]


def saturation(summary: Summary) -> list[str]:
    """For each model, up to which size it holds the string, and the most bits that were read back at any."""
    rows = measured(summary)
    return [
        saturation_of(stack, [row for row in rows if row.stack == stack])
        for stack in dict.fromkeys(r.stack for r in rows)
    ]


def saturation_of(stack: str, rows: list[Row]) -> str:
    """One model's saturation point, in a sentence."""
    held = [row.size for row in rows if row.recovered and row.recovered.mean >= EVERYTHING * (row.required_bits or 0)]
    best = max(rows, key=lambda row: row.recovered.mean if row.recovered else 0.0)
    assert best.recovered is not None
    most = max(0.0, best.recovered.mean)
    whole = (
        f"holds strings whole at {'size' if len(held) == 1 else 'sizes'} {', '.join(map(str, held))}"
        if held
        else "holds no string whole"
    )
    return f"{stack} {whole}; at most {most:,.0f} bits were read back, at size {best.size}."
