"""The HTML page: one file that needs no network, and the PNGs of its figures beside it."""

import json
from collections.abc import Sequence
from pathlib import Path

from statewise.core.config import canonical
from statewise.core.optional import require
from statewise.report.figures import Marker, draw_all, svg
from statewise.report.summary import Summary
from statewise.report.table import (
    cells,
    conclusions,
    headings,
    lines_by_task,
    missing_line,
    notes,
    rate_lines,
    threshold_note,
    title_of,
)
from statewise.runs.record import title_of_run

TEMPLATE = Path(__file__).with_name("page.html.jinja")
PNG_DPI = 150


def write_page(
    summary: Summary,
    folder: Path,
    *,
    name: str = "report",
    best_of_seeds: bool = False,
    markers: Sequence[Marker] = (),
) -> Path:
    """Write `<name>.html` and one PNG for each figure into `folder`, and return the page's path.

    `markers` are constructions, for the figures of bits. Everything that came from a record is escaped.
    MissingExtraError where the extra `report` is not installed.
    """
    figures = draw_all(summary, markers)
    tables = [
        (
            title_of(task, [line.size for line in lines]),
            headings(task, best_of_seeds=best_of_seeds),
            [(cells(line, best_of_seeds=best_of_seeds), line.verdict.kind) for line in lines],
        )
        for task, lines in lines_by_task(summary)
    ]
    runs = [
        {
            "title": f"{title_of_run(r.config)} · {r.name}",
            "status": f"{r.status}: {r.because}",
            "config": json.dumps(json.loads(canonical(r.config)), indent=1),
            "environment": json.dumps(r.environment, indent=1),
        }
        for r in summary.records
    ]
    jinja = require("jinja2", extra="report", purpose="the HTML report")
    html = jinja.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE.read_text())
    page = html.render(
        conclusions=conclusions(summary),
        tables=tables,
        said=[missing_line(summary), *rate_lines(summary)],
        notes=" ".join([threshold_note(), *notes(summary.tasks, best_of_seeds=best_of_seeds)]),
        # Our own drawing, not a record's text: matplotlib has escaped what it was given.
        figures={
            name: require("markupsafe", extra="report", purpose="the HTML report").Markup(svg(figure))
            for name, figure in figures.items()
        },
        runs=runs,
    )
    folder.mkdir(parents=True, exist_ok=True)
    for label, figure in figures.items():
        figure.savefig(folder / f"{label}.png", dpi=PNG_DPI)
    path = folder / f"{name}.html"
    partial = path.with_suffix(".partial")
    partial.write_text(page, encoding="utf-8")
    return partial.replace(path)
