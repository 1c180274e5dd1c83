"""A study's section of the page: quantities beside their published values, its charts, and its learning curves."""

from collections.abc import Sequence

from statewise.report.chart import chart_plot
from statewise.report.plot import Plot
from statewise.report.study import HEADINGS, RULE, cells
from statewise.report.view import Line, Section, TableView, figure_view
from statewise.runs.findings import Grid, Quantity, StudyRecord


def study_section(study: StudyRecord, learning: Sequence[Plot]) -> Section:
    """Everything that a study found, and the source of what it is compared with."""
    findings = study.findings
    tables = [grid_view(grid) for grid in findings.grids]
    if findings.quantities:
        tables.append(quantities_view(study.name, findings.quantities))
    plots = [*map(chart_plot, findings.charts), *learning]
    return Section(
        heading=f"{study.name}, at scale {study.scale}",
        lead=study.claim,
        tables=tables,
        figures=[figure_view(plot) for plot in plots],
        said=[RULE, *findings.notes, f"Source: {study.source}."],
    )


def quantities_view(name: str, quantities: Sequence[Quantity]) -> TableView:
    """The table of `reproduce`."""
    lines = [Line(texts=texts, kind=texts[-1].partition(" ")[0].rstrip(":")) for texts in map(cells, quantities)]
    return TableView(caption=f"{name}: the paper's values and ours", columns=HEADINGS, lines=lines)


def grid_view(grid: Grid) -> TableView:
    """A table of texts."""
    return TableView(caption=grid.title, columns=grid.headings, lines=[Line(texts=row) for row in grid.rows])
