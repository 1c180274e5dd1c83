"""The HTML page: one file that needs no network, and the PNGs of its figures beside it."""

import json
from pathlib import Path

from statewise.core.config import canonical
from statewise.core.optional import require
from statewise.report.figures import draw_all, svg
from statewise.report.summary import Summary
from statewise.report.table import (
    cells,
    conclusions,
    headings,
    missing_line,
    rows_by_task,
    threshold_note,
    title_of,
)

TEMPLATE = Path(__file__).with_name("page.html.jinja")
PNG_DPI = 150


def write_page(summary: Summary, folder: Path, *, name: str = "report") -> Path:
    """Write `<name>.html` and one PNG for each figure into `folder`, and return the page's path.

    Everything that came from a record is escaped. MissingExtraError where the extra `report` is not installed.
    """
    figures = draw_all(summary)
    tables = [
        (title_of(task, [row.size for row in rows]), headings(task), [(cells(row), row.verdict.kind) for row in rows])
        for task, rows in rows_by_task(summary)
    ]
    runs = [
        {
            "title": f"{r.config['task']['name']} · {r.config['model']['stack']} · seed {r.config['seed']} · {r.name}",
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
        threshold=threshold_note(),
        tables=tables,
        missing=missing_line(summary),
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
