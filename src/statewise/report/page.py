"""The HTML page: one file that needs no network, and the PNGs of a comparison's figures beside it."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from statewise.core.optional import require
from statewise.report.figures import picture
from statewise.report.interactive import plotly_script
from statewise.report.learning import ByTask, by_task, learning_plots, reported
from statewise.report.plot import Plot
from statewise.report.plots import Marker, plots_of
from statewise.report.study import PNG_DPI, StudyPart
from statewise.report.study_view import study_section
from statewise.report.summary import Summary
from statewise.report.table import missing_line, notes, rate_lines, threshold_note
from statewise.report.text import TextPart
from statewise.report.text_view import text_section
from statewise.report.view import Runs, Section, facets_of, sentences, task_sections
from statewise.runs.record import model_of_run
from statewise.tasks import Task

HERE = Path(__file__).parent
LIMIT = 8_000_000
"""Bytes that a page must stay below, plotly's 4.8 million among them."""

COMPARISON = "Which model solved which task, and what a proof says of the rest"
STUDIES = "Published claims, tested again"
WHAT_BITS_ARE = (
    "Required bits are what any reader that is always right must hold at the worst cut; recovered bits estimate a "
    "lower bound on what was held."
)
LEFT_OUT = (
    "Learning curves are left out to keep this page small: they are in events.jsonl in the folder of each run.",
    "Configurations are left out to keep this page small: they are in config.json in the folder of each run.",
)
POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; connect-src 'none'; "
    "base-uri 'none'; form-action 'none'"
)
"""plotly writes its own style element, and draws pictures to download through blobs."""


def write_page(
    summary: Summary,
    folder: Path,
    *,
    name: str = "report",
    best_of_seeds: bool = False,
    markers: Sequence[Marker] = (),
    studies: Sequence[StudyPart] = (),
    texts: Sequence[TextPart] = (),
) -> Path:
    """Write `<name>.html` and one PNG for each figure of a comparison into `folder`, and return the page's path.

    `markers` are constructions, for the figures of bits; `studies` and comparisons of language models, `texts`, get a
    section each. Learning curves are read from the run folders below `folder`. Everything that came from a record is
    escaped. Of a page that would reach 8 MB, learning curves are left out and then configurations, which it says.
    MissingExtraError where the extra `report` is not installed.
    """
    plots = dict(plots_of(summary, markers))
    folder.mkdir(parents=True, exist_ok=True)
    for plot in (plot for group in plots.values() for plot in group):
        picture(plot).savefig(folder / f"{plot.name}.png", dpi=PNG_DPI)
    sections = Sections(summary, plots, studies, folder, best_of_seeds=best_of_seeds, texts=texts)
    for left_out in range(len(LEFT_OUT) + 1):
        page = sections.page(left_out)
        if len(page) < LIMIT:
            break
    path = folder / f"{name}.html"
    partial = path.with_suffix(".partial")
    partial.write_bytes(page)
    return partial.replace(path)


class Sections:
    """A page in the making, with more or less in it."""

    def __init__(
        self,
        summary: Summary,
        plots: Mapping[Task, list[Plot]],
        studies: Sequence[StudyPart],
        folder: Path,
        *,
        best_of_seeds: bool,
        texts: Sequence[TextPart],
    ) -> None:
        self.summary = summary
        self.plots = plots
        self.studies = studies
        self.folder = folder
        self.best_of_seeds = best_of_seeds
        self.texts = [text_section(part) for part in texts]
        self.runs = Runs()
        self.runs.add(summary.records, summary.models)
        for part in studies:
            self.runs.add(part.records, [model_of_run(record.config) for record in part.records])

    def page(self, left_out: int) -> bytes:
        """The whole page, without the first so many of what can be left out."""
        curves, configurations = left_out < 1, left_out < 2
        summary = self.summary
        learning = self._learning(reported(summary)) if curves else {}
        plots = {task: [*self.plots.get(task, ()), *filter(None, [learning.get(task)])] for task in summary.tasks}
        tasks = task_sections(summary, plots, best_of_seeds=self.best_of_seeds)
        studies = [
            study_section(part.study, list(self._learning(by_task(part.records if curves else ())).values()))
            for part in self.studies
        ]
        said = [missing_line(summary), *rate_lines(summary)] if summary.records else []
        return render(
            heading=COMPARISON if tasks or not studies else STUDIES,
            conclusions=sentences(summary),
            notes=" ".join([threshold_note(), *notes(summary.tasks, best_of_seeds=self.best_of_seeds), WHAT_BITS_ARE]),
            tasks=tasks,
            texts=self.texts,
            studies=studies,
            said=[*said, *LEFT_OUT[:left_out]],
            runs=self.runs,
            details=self.runs.data() if configurations else {},
        )

    def _learning(self, runs: ByTask) -> dict[Task, Plot]:
        return learning_plots(runs, self.folder, among=len(self.runs.shown))


def render(
    *,
    heading: str,
    conclusions: Sequence[Any],
    notes: str,
    tasks: Sequence[Section],
    texts: Sequence[Section],
    studies: Sequence[Section],
    said: Sequence[str],
    runs: Runs,
    details: Mapping[str, Any],
) -> bytes:
    """The template filled in; every text is escaped, every script named by its digest."""
    jinja = require("jinja2", extra="report", purpose="the HTML report")
    trusted = require("markupsafe", extra="report", purpose="the HTML report").Markup
    scripts = [plotly_script(), (HERE / "page.js").read_text(encoding="utf-8")]
    figures = [figure for section in (*tasks, *studies) for figure in section.figures]
    environment = jinja.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page: str = environment.from_string((HERE / "page.html.jinja").read_text(encoding="utf-8")).render(
        policy=trusted(POLICY.format(scripts=" ".join(map(digest_of, scripts)))),
        # Our own files and plotly's: nothing of a record is in them.
        style=trusted((HERE / "page.css").read_text(encoding="utf-8")),
        scripts=list(map(trusted, scripts)),
        heading=heading,
        conclusions=conclusions,
        notes=notes,
        tasks=tasks,
        texts=texts,
        studies=studies,
        said=said,
        runs=runs.shown,
        facets=facets_of(runs.shown),
        figures=trusted(as_data([figure.data for figure in figures])),
        details=trusted(as_data(details)),
    )
    return page.encode()


def digest_of(script: str) -> str:
    """What a policy calls a script that it lets run.

    >>> digest_of("1")
    "'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def as_data(plain: Any) -> str:
    """JSON that can stand in a script element: nothing in it ends that, or opens another.

    >>> as_data(["</script>"])
    '["\\\\u003c/script\\\\u003e"]'
    """
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
