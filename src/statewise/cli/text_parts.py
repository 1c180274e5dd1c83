"""What `compare` adds for text: samples of every model, beside losses at equal time, tokens and parameters."""

import io
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from statewise.cli.console import WIDTH_OF_A_PIPE
from statewise.core.disk import write_whole
from statewise.report import Summary, TextPart, Written, render_text, text_part
from statewise.studies.samples import Excerpt, excerpt_of, sample_of
from statewise.tasks import Text

KEPT = "text-comparison.txt"


def text_parts(summary: Summary, root: Path) -> Iterator[TextPart]:
    """A part for each task of a summary that is text, with what every run's model writes."""
    for task in summary.tasks:
        rows = [row for row in summary.rows if row.task == task]
        if not isinstance(task, Text) or task.measure != "nats" or not rows:
            continue
        excerpt = excerpt_of(task)
        records = {row.stack: row.records for row in rows}
        written = {
            stack: [written_by(root / record.name, excerpt, record.config["seed"]) for record in group]
            for stack, group in records.items()
        }
        part = text_part(summary, task, root, written, prompt=spoken(excerpt.prompt), own=spoken(excerpt.text))
        if part is not None:
            yield part


def written_by(folder: Path, excerpt: Excerpt, seed: int) -> Written:
    """What the model in a run folder writes."""
    sample = sample_of(folder, excerpt, seed=seed)
    return Written(text=spoken(sample.text), tokens_per_second=sample.tokens_per_second)


def spoken(content: bytes) -> str:
    """Bytes as text, what is not UTF-8 replaced."""
    return content.decode(errors="replace")


def keep_text(part: TextPart, root: Path) -> Path:
    """Write a part beside the runs, as it is printed."""
    page = io.StringIO()
    Console(file=page, width=WIDTH_OF_A_PIPE, highlight=False, markup=False, emoji=False).print(render_text(part))
    write_whole(root / KEPT, lambda half: half.write_text(page.getvalue(), encoding="utf-8"))
    return root / KEPT
