"""What the page shows, as plain data for its template: tables, figures, sentences, runs, and what to filter by."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from statewise.core.config import to_plain
from statewise.report.interactive import figure_data
from statewise.report.plot import Plot, table_behind
from statewise.report.summary import Summary
from statewise.report.table import cells, concluded, headings, lines_by_task, title_of
from statewise.runs import Record
from statewise.runs.record import task_of_run, title_of_run
from statewise.tasks import Task

NUMBER = re.compile(r"[≤≥]?\s*-?[\d.]")
"""How a cell begins that is aligned and sorted as a number."""

NONE = ("–", "")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a table. Texts in the order of its columns; `kind` of its verdict; the rest to filter by."""

    texts: Sequence[str]
    kind: str = ""
    task: str = ""
    model: str = ""
    size: str = ""


@dataclass(frozen=True, kw_only=True)
class TableView:
    """A table that can be sorted by any column. `numbers` says of each whether it holds numbers."""

    caption: str
    columns: Sequence[str]
    lines: Sequence[Line]

    @cached_property
    def numbers(self) -> list[bool]:
        """Columns of which every text that is there begins with a number."""
        return [all(map(is_number, column)) for column in zip(*(line.texts for line in self.lines), strict=True)]


@dataclass(frozen=True, kw_only=True)
class FigureView:
    """A figure: what it shows in a sentence, what the script draws, and the same numbers as a table."""

    title: str
    said: str
    data: dict[str, Any]
    table: TableView
    tall: bool = False


@dataclass(frozen=True, kw_only=True)
class SampleView:
    """A text that a model wrote, and what is measured of it; `more` are those of its other seeds."""

    name: str
    said: str
    text: str
    more: Sequence["SampleView"] = ()
    task: str = ""
    model: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A task or a study with its tables and figures.

    lead     a sentence under the heading
    said     what follows the tables
    prompt   what the samples go on from
    samples  texts side by side
    """

    heading: str
    task: str = ""
    lead: str = ""
    tables: Sequence[TableView] = ()
    figures: Sequence[FigureView] = ()
    said: Sequence[str] = ()
    prompt: str = ""
    samples: Sequence[SampleView] = ()


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A run in the list: its title, how it ended, and the place of its configuration."""

    title: str
    status: str
    because: str
    task: str
    model: str
    sizes: str


@dataclass(frozen=True, kw_only=True)
class Facet:
    """Something to filter by, and its values."""

    name: str
    label: str
    values: Sequence[str]


@dataclass
class Runs:
    """Every run once, in order, and what was run and where; environments that are alike are kept once."""

    shown: list[RunView] = field(default_factory=list)
    details: list[dict[str, Any]] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def add(self, records: Sequence[Record], models: Sequence[str]) -> None:
        """Append the runs that are not in it, with the names of their models."""
        for record, model in zip(records, models, strict=True):
            if record.name not in self.names:
                self.names.add(record.name)
                self.shown.append(run_view(record, model))
                self.details.append({"config": to_plain(record.config), "environment": self._place(record)})

    def _place(self, record: Record) -> int:
        text = json.dumps(record.environment, sort_keys=True)
        if text not in self.environments:
            self.environments.append(text)
        return self.environments.index(text)

    def data(self) -> dict[str, Any]:
        """For the page's script: configurations, each with the number of its environment."""
        return {"runs": self.details, "environments": [json.loads(text) for text in self.environments]}


def is_number(text: str) -> bool:
    """Whether a cell can stand in a column of numbers.

    >>> is_number("1,024"), is_number("≤ 0.01"), is_number("–"), is_number("mingru*2")
    (True, True, True, False)
    """
    return text in NONE or NUMBER.match(text) is not None


def run_view(record: Record, model: str) -> RunView:
    """A run in the list."""
    return RunView(
        title=f"{title_of_run(record.config)} · {record.name}",
        status=record.status,
        because=record.because,
        task=task_of_run(record.config),
        model=model,
        sizes=" ".join(str(size) for size in record.config["evaluation"]["sizes"]),
    )


def figure_view(plot: Plot) -> FigureView:
    """A figure with the table behind it."""
    columns, rows = table_behind(plot)
    keys = [(series.model, point.size) for series in plot.series for point in series.points]
    keys += [("", None)] * len(plot.across)
    lines = [
        Line(texts=row, model=model, size="" if size is None else str(size))
        for row, (model, size) in zip(rows, keys, strict=True)
    ]
    table = TableView(caption=f"The numbers of: {plot.title}", columns=columns, lines=lines)
    return FigureView(title=plot.title, said=plot.said, data=figure_data(plot), table=table, tall=plot.wide)


def task_sections(summary: Summary, plots: Mapping[Task, list[Plot]], *, best_of_seeds: bool) -> list[Section]:
    """A section for each task: its table and its figures."""
    sections = []
    for task, rows in lines_by_task(summary):
        columns = headings(task, best_of_seeds=best_of_seeds)
        title = title_of(task, [row.size for row in rows])
        lines = [
            Line(
                texts=cells(row, best_of_seeds=best_of_seeds),
                kind=row.verdict.kind,
                task=task.title,
                model=row.stack,
                size=str(row.size),
            )
            for row in rows
        ]
        table = TableView(caption=title, columns=columns, lines=lines)
        figures = [figure_view(plot) for plot in plots.get(task, [])]
        sections.append(Section(heading=title, task=task.title, tables=[table], figures=figures))
    return sections


def sentences(summary: Summary) -> list[Line]:
    """The verdict, a sentence a line, each with its task and model."""
    return [Line(texts=[said], task=task.title, model=stack) for task, stack, said in concluded(summary)]


def facets_of(runs: Sequence[RunView]) -> list[Facet]:
    """Task, model and size, each where there is more than one."""
    sizes = {int(size) for run in runs for size in run.sizes.split()}
    facets = [
        Facet(name="task", label="Task", values=list(dict.fromkeys(run.task for run in runs))),
        Facet(name="model", label="Model", values=list(dict.fromkeys(run.model for run in runs))),
        Facet(name="size", label="Size", values=[str(size) for size in sorted(sizes)]),
    ]
    return [facet for facet in facets if len(facet.values) > 1]
