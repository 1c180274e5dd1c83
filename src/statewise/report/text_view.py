"""A comparison of language models as a section of the page: its table, and whole samples side by side."""

from statewise.report.repetition import repetition_of
from statewise.report.text import (
    CORPUS,
    HEADINGS,
    TextLine,
    TextPart,
    Written,
    cells_of,
    cells_of_corpus,
    measures,
    notes_of,
    shown,
)
from statewise.report.view import Line, SampleView, Section, TableView


def text_section(part: TextPart) -> Section:
    """Everything that a comparison says, with every sample to its end."""
    size = str(part.size)
    lines = [Line(texts=cells_of(line), task=part.task, model=line.stack, size=size) for line in part.lines]
    lines.append(Line(texts=cells_of_corpus(part), task=part.task))
    heading = f"Language models side by side: {part.title}"
    columns = [name.replace("\n", " ") for name in HEADINGS]
    own = SampleView(name=CORPUS, said=said_of(part.own), text=shown(part.own), task=part.task)
    return Section(
        heading=heading,
        task=part.task,
        tables=[TableView(caption=f"{heading}, size {part.size}", columns=columns, lines=lines)],
        said=notes_of(part),
        prompt=shown(part.prompt),
        samples=[own, *(sample_view(part, line) for line in part.lines if line.written)],
    )


def sample_view(part: TextPart, line: TextLine) -> SampleView:
    """What one model wrote: with its first seed, and with the others."""
    first, *others = line.written
    return SampleView(
        name=line.stack,
        said=said_of(first.text, first),
        text=shown(first.text),
        more=[
            SampleView(name=f"seed {each.seed}", said=said_of(each.text, each), text=shown(each.text))
            for each in others
        ],
        task=part.task,
        model=line.stack,
    )


def said_of(text: str, written: Written | None = None) -> str:
    """The measures of a text in words, with the seed and the speed of the model that wrote it.

    >>> said_of("to be or not to be", Written(seed=2, text="", tokens_per_second=1234.5))
    'seed 2, 1,234 tokens/s; distinct words 66.7 %, distinct pairs 80.0 %, repeated fours 0.0 %'
    """
    words, pairs, fours = measures([repetition_of(text)])
    by = "" if written is None else f"seed {written.seed}, {written.tokens_per_second:,.0f} tokens/s; "
    return f"{by}distinct words {words} %, distinct pairs {pairs} %, repeated fours {fours} %"
