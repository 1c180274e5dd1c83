"""The table and the conclusions for a terminal."""

import math
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from statewise.report.interval import Interval
from statewise.report.selection import Selection, mean_of, number
from statewise.report.summary import Row, Summary, Untested
from statewise.report.verdict import SOLVED_AT, percent
from statewise.tasks import PackedText, Task
from statewise.tasks.packed_text import BYTES

STYLES = {
    "solved": "green",
    "partly": "yellow",
    "cannot": "red",
    "not-always": "red",
    "has-room": "",
    "untrained": "",
    "no-bound": "",
    "no-rule": "",
    "untested": "",
}
LOSSES = {"nats": "nats per token", "squared error": "squared error"}
"""Names of the loss where it is what counts."""

PER_BYTE = "nats per byte"

BEST = "best of seeds %"
NARROW = 9
"""Characters from which on a column's title takes two lines."""


def render(summary: Summary, *, best_of_seeds: bool = False) -> RenderableType:
    """A table for each task, what was selected and how, and a line on the runs that are missing.

    best_of_seeds  a further column: the seed that is best on the validation split
    """
    tables: list[RenderableType] = [
        table_of(task, lines, best_of_seeds=best_of_seeds) for task, lines in lines_by_task(summary)
    ]
    said = [missing_line(summary), *rate_lines(summary), *notes(summary.tasks, best_of_seeds=best_of_seeds)]
    return Group(*tables, *map(Text, said))


def rows_by_task(summary: Summary) -> Iterator[tuple[Task, list[Row]]]:
    """Tasks in order, each with its rows."""
    for task in summary.tasks:
        yield task, [row for row in summary.rows if row.task == task]


def lines_by_task(summary: Summary) -> Iterator[tuple[Task, list[Row | Untested]]]:
    """Tasks in order, each with its rows and, after them, what is untested."""
    for task, rows in rows_by_task(summary):
        yield task, [*rows, *(line for line in summary.untested if line.task == task)]


def headings(task: Task, *, best_of_seeds: bool = False) -> list[str]:
    """Column titles: with a rule on symbols accuracy counts, else the loss."""
    best = [BEST] if best_of_seeds else []
    if task.measure != "accuracy":
        return ["model", "size", LOSSES[task.measure], *([PER_BYTE] if in_other_tokens(task) else []),
                *(title.removesuffix(" %") for title in best),
                *(["token acc. %"] if task.measure == "nats" else []), "state bits", "train s"]  # fmt: skip
    answers = ["answer acc. %"] if task.step_by_step else []
    return [
        "model", "size", *answers, "token acc. %", "sequence acc. %", *best, "solved",
        "recovered bits", "state bits", "required bits", "verdict", "train s",
    ]  # fmt: skip


def cells(line: Row | Untested, *, best_of_seeds: bool = False) -> list[str]:
    """One line's texts, in the order of `headings`; what is untested has dashes."""
    titles = headings(line.task, best_of_seeds=best_of_seeds)
    known = {"model": line.stack, "size": str(line.size), "verdict": line.verdict.text}
    if isinstance(line, Untested):
        return [known.get(title, "–") for title in titles]
    symbols = line.task.measure == "accuracy"
    best = percent(number(line.best.sequence_accuracy)).removesuffix(" %") if symbols else f"{line.best.loss:.3f}"
    texts = known | {
        "answer acc. %": "–" if line.answers is None else share(line.answers),
        "token acc. %": share(line.token_accuracy),
        "sequence acc. %": share(line.sequence_accuracy),
        "solved": f"{line.solved}/{line.seeds}",
        "recovered bits": "–" if line.recovered is None else spread(line.recovered, 0),
        "state bits": f"{line.state_bits:,}",
        "required bits": "–" if line.required_bits is None else bits(line.required_bits),
        "train s": f"{line.seconds:.1f}",
    }
    texts |= dict.fromkeys(LOSSES.values(), spread(line.loss, 3))
    texts[PER_BYTE] = "–" if line.loss_per_byte is None else spread(line.loss_per_byte, 3)
    texts |= dict.fromkeys((BEST, BEST.removesuffix(" %")), f"{best} (of {line.loss.count})")
    return [texts[title] for title in titles]


def in_other_tokens(task: Task) -> bool:
    """Whether a task is text in other tokens than bytes."""
    return isinstance(task, PackedText) and task.tokenizer != BYTES


def bits(number: float) -> str:
    """Required bits, whole from 1,000 on."""
    return f"{number:,.4g}" if number < 1000 else f"{number:,.0f}"


def table_of(task: Task, lines: Sequence[Row | Untested], *, best_of_seeds: bool = False) -> Table:
    """One task's table."""
    title = Text(title_of(task, [line.size for line in lines]), style="bold")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    titles = headings(task, best_of_seeds=best_of_seeds)
    for heading in titles:
        left = heading in ("model", "verdict")
        shown = heading.replace(" ", "\n", 1) if len(heading) >= NARROW else heading
        table.add_column(shown, justify="left" if left else "right", no_wrap=not left, overflow="fold")
    for i, line in enumerate(lines):
        last = i + 1 == len(lines) or lines[i + 1].stack != line.stack
        texts = [Text(text) for text in cells(line, best_of_seeds=best_of_seeds)]
        for text, heading in zip(texts, titles, strict=True):
            if heading == "verdict":
                text.stylize(STYLES[line.verdict.kind])
        table.add_row(*texts, end_section=last)
    return table


def title_of(task: Task, sizes: Sequence[int]) -> str:
    """The task with its settings, and what guessing gives at the smallest and the largest size.

    >>> from statewise.tasks import EvenPairs, Parity
    >>> title_of(EvenPairs(), [1, 8]), title_of(Parity(), [4, 8])
    ('even-pairs (chance 100 % to 50.0 %)', 'parity (every_prefix True; chance 50.0 %)')
    """
    identity = task.identity()
    fields = identity.get("task", identity).items()
    settings = ", ".join(f"{key} {value}" for key, value in fields if shown_in_title(key, value))
    ends = (min(sizes), max(sizes)) if task.measure == "accuracy" and sizes else ()
    guesses = dict.fromkeys(percent(task.chance(size)) for size in ends)
    guess = f"chance {' to '.join(guesses)}" if guesses else ""
    return f"{task.title} ({'; '.join(filter(None, (settings, guess)))})"


def shown_in_title(key: str, value: object) -> bool:
    """Whether a field of a task's identity tells it from others: no digests, paths of code and options left alone.

    >>> shown_in_title("file", None), shown_in_title("separator", None), shown_in_title("tokenizer_sha256", "7f…")
    (True, False, False)
    """
    if key in ("name", "class", "cache") or key.endswith("sha256"):
        return False
    return key == "file" or (value is not None and value != [])


def share(value: Interval) -> str:
    """An accuracy in percent, and half of its interval's width.

    >>> share(Interval(mean=0.5, half=0.1, low=0.4, high=0.6, count=3))
    '50.0 ±10.0'
    """
    mean = percent(value.mean).removesuffix(" %")
    return mean if math.isnan(value.half) else f"{mean} ±{100 * value.half:.1f}"


def spread(value: Interval, digits: int) -> str:
    """A mean, and half of its interval's width.

    >>> spread(Interval(mean=-0.2, half=0.4, low=-0.6, high=0.2, count=3), 0)
    '0 ±0'
    """
    mean = f"{round(value.mean, digits) + 0.0:,.{digits}f}"
    return mean if math.isnan(value.half) else f"{mean} ±{value.half:,.{digits}f}"


def share_of(part: float, whole: float) -> str:
    """A quotient in percent, at least 0; a dash over nothing.

    >>> share_of(1.0, 8.0), share_of(-0.1, 8.0), share_of(1.0, 0.0)
    ('12.5 %', '0.0 %', '–')
    """
    return f"{100 * max(0.0, part) / whole:.1f} %" if whole else "–"


def missing_line(summary: Summary) -> str:
    """How many runs gave no numbers, and why."""
    count = len(summary.records)
    if not summary.missing:
        return f"No run is missing: {count} of {count} finished."
    return f"{len(summary.missing)} of {count} runs are missing:\n" + "\n".join(f"  {line}" for line in summary.missing)


def rate_lines(summary: Summary) -> list[str]:
    """For each task and model that had a choice: the learning rate that is reported, out of which, chosen by what."""
    models = {(row.task, row.stack): row for row in summary.rows}
    return [rate_line(row) for row in models.values() if len(row.selection.trials) > 1]


def rate_line(row: Row) -> str:
    """The learning rate of one model on one task."""
    measured = "sequence accuracy" if row.task.measure == "accuracy" else LOSSES[row.task.measure]
    return (
        f"{row.task.title} · {row.stack}: reported at learning rate {row.selection.learning_rate:g}, chosen by "
        f"{measured} on the validation split out of {tried(row.task, row.selection)}"
    )


def tried(task: Task, selection: Selection, sizes: Sequence[int] = ()) -> str:
    """The learning rates with their means over seeds on the validation split, at some sizes or at all.

    >>> from statewise.report.selection import NOTHING_RIGHT, Trial
    >>> from statewise.tasks import Parity
    >>> tried(Parity(), Selection(0.1, (Trial(0.1, {8: NOTHING_RIGHT}),)))
    '0.1 (0.0 %)'
    """
    texts = []
    for trial in selection.trials:
        scores = mean_of(score for size, score in trial.by_size.items() if size in sizes or not sizes)
        found = percent(number(scores.sequence_accuracy)) if task.measure == "accuracy" else f"{scores.loss:.3f}"
        texts.append(f"{trial.learning_rate:g} ({found})")
    return listed(texts)


def notes(tasks: Sequence[Task], *, best_of_seeds: bool = False) -> list[str]:
    """What ± is, which split a choice and which a number is from, and what is run freely."""
    lines = [
        "±: half of Student's t 95 % interval over seeds, which is approximate. Learning rates are chosen on the "
        "validation split; what is reported is measured on the test split."
    ]
    if any(task.step_by_step for task in tasks):
        lines.append(
            "Answers: run freely, from the prompt alone, with real searches; the first answer counts, and none is "
            "wrong. Token and sequence accuracy: teacher forcing, over all that the model has to write. Solved goes by "
            "answers."
        )
    if best_of_seeds:
        lines.append(
            f"{BEST.removesuffix(' %')}: not a mean but one seed, the best on the validation split over all sizes, out "
            "of the number in brackets; its own result on the test split (sequence accuracy, or loss)."
        )
    return lines


def conclusions(summary: Summary) -> list[str]:
    """The verdict in sentences: for each task and model, what it solved and what a proof says of the rest."""
    return [said for _, _, said in concluded(summary)]


def concluded(summary: Summary) -> Iterator[tuple[Task, str, str]]:
    """The task and the model of every sentence, and that."""
    for task, rows in lines_by_task(summary):
        for stack in dict.fromkeys(row.stack for row in rows):
            yield task, stack, sentence(task, stack, [row for row in rows if row.stack == stack])


def sentence(task: Task, stack: str, lines: Sequence[Row | Untested]) -> str:
    """One model on one task in a few words, sizes with the same verdict together; proofs with their source."""
    where = f"{task.title}: {stack}"
    rows = [line for line in lines if isinstance(line, Row)]
    if not rows:
        return f"{where} is untested: no run finished."
    if task.measure != "accuracy":
        best = min(rows, key=lambda row: row.loss.mean)
        per_byte = f", {best.loss_per_byte.mean:.3f} {PER_BYTE}" if best.loss_per_byte and in_other_tokens(task) else ""
        return f"{where} reaches {best.loss.mean:.3f} {LOSSES[task.measure]}{per_byte} at size {best.size}."
    sizes = {kind: [row for row in rows if row.verdict.kind == kind] for kind in STYLES}
    parts = [f"{where} solves {sizes_of(sizes['solved'])}" if sizes["solved"] else f"{where} solves no size"]
    if sizes["partly"]:
        parts.append(f"some seeds solve {sizes_of(sizes['partly'])}")
    unlearned = sizes["has-room"] + sizes["no-bound"]
    if unlearned:
        parts.append(tried_at(unlearned))
    if sizes["has-room"]:
        parts.append(f"it has room for {sizes_of(sizes['has-room'])} and did not learn it")
    if sizes["untrained"]:
        parts.append(f"its weights as they were written are not right at {sizes_of(sizes['untrained'])}")
    if sizes["no-bound"]:
        parts.append(f"it did not learn {sizes_of(sizes['no-bound'])}, for which no bound is proved")
    forbidden = sizes["cannot"] + sizes["not-always"]
    for row in forbidden:
        assert row.required_bits is not None
        parts.append(
            f"at {row.size} it {row.verdict.text}, since its state has {row.state_bits:,} bits and "
            f"{row.required_bits:,.0f} are required"
        )
    proofs = [proof(f"for {sizes_of(same)}", same) for same in by_source(forbidden)]
    everywhere = [row for row in rows if row.verdict.never_everywhere]
    if everywhere:
        parts.append("a proof says that no stack of its kind is right at all lengths")
        proofs.append(proof("for all lengths", everywhere))
    return " ".join(["; ".join(parts) + ".", *proofs])


def tried_at(rows: Sequence[Row]) -> str:
    """The learning rates that were tried at the sizes of some rows of one model, and how they did."""
    selection = rows[0].selection
    rates = "learning rate" if len(selection.trials) == 1 else "learning rates"
    scores = tried(rows[0].task, selection, [row.size for row in rows])
    return f"{rates} tried there, with sequence accuracy on the validation split: {scores}"


def by_source(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows whose verdicts rest on the same proof, together."""
    for source in dict.fromkeys(row.verdict.source for row in rows):
        yield [row for row in rows if row.verdict.source == source]


def proof(of: str, rows: Sequence[Row]) -> str:
    """Where the proof is that the verdicts of some rows rest on."""
    return f"Proof {of}: {rows[0].verdict.source}."


def sizes_of(rows: Sequence[Row]) -> str:
    """The sizes of some rows, as in "sizes 16 and 64"."""
    return ("size " if len(rows) == 1 else "sizes ") + listed([str(row.size) for row in rows])


def listed(words: list[str]) -> str:
    """Words joined as in a sentence.

    >>> listed(["16", "64", "256"])
    '16, 64 and 256'
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def threshold_note() -> str:
    """What "solved" means."""
    return f"Solved: every seed gets at least {SOLVED_AT:.0%} of unseen sequences entirely right."
