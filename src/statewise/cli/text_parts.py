"""What `compare` adds for text: samples of every model, beside losses at equal time, tokens and parameters."""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from statewise.cli.console import WIDTH_OF_A_PIPE
from statewise.core.config import from_plain, to_plain
from statewise.core.disk import write_whole
from statewise.core.errors import RunError
from statewise.report import Summary, TextPart, Written, render_text, text_part
from statewise.studies.samples import Excerpt, excerpt_of, sample_of
from statewise.tasks import Text

PRINTED, KEPT = "text-comparison.txt", "text-comparison.json"


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
    return Written(seed=seed, text=spoken(sample.text), tokens_per_second=sample.tokens_per_second)


def spoken(content: bytes) -> str:
    """Bytes as text, what is not UTF-8 replaced."""
    return content.decode(errors="replace")


def keep_texts(parts: Sequence[TextPart], root: Path) -> None:
    """Write parts beside the runs: as they are printed, and for `kept_texts`."""
    page = io.StringIO()
    out = Console(file=page, width=WIDTH_OF_A_PIPE, highlight=False, markup=False, emoji=False)
    for part in parts:
        out.print(render_text(part))
    plain = json.dumps(to_plain(parts), indent=1) + "\n"
    write_whole(root / PRINTED, lambda half: half.write_text(page.getvalue(), encoding="utf-8"))
    write_whole(root / KEPT, lambda half: half.write_text(plain, encoding="utf-8"))


def kept_texts(root: Path) -> list[TextPart]:
    """The parts of the latest comparison in a folder of runs; none where there was none. Damaged: a RunError."""
    path = root / KEPT
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, list):
            raise ValueError(f"it holds a {type(found).__name__}, and needs a list")
        return [from_plain(TextPart, plain, where=str(path)) for plain in found]
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}; remove it, and compare again") from None
