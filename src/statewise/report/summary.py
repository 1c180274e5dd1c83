"""From records to rows: one for each task, model and size, with the bound beside the measurement."""

from collections.abc import Sequence
from dataclasses import dataclass

from statewise.bounds import best_accuracy, required_bits
from statewise.report.interval import Interval, interval
from statewise.report.verdict import Verdict, judge
from statewise.runs import Record, Result
from statewise.tasks import Task, from_identity


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: means over seeds.

    recovered           bits read back out of the state; None where the meter does not apply
    recovered_at_least  the lowest confidence limit of any seed
    state_bits          carried at the task's cut, without position counters
    required_bits       what a proof says that any reader which is always right must hold; None without a rule
    best_accuracy       proved limit of token accuracy for that state; None where none is proved
    learning_rates      peak rates that the runs tried
    """

    task: Task
    stack: str
    size: int
    token_accuracy: Interval
    sequence_accuracy: Interval
    loss: Interval
    recovered: Interval | None
    recovered_at_least: float | None
    state_bits: int
    required_bits: float | None
    best_accuracy: float | None
    verdict: Verdict
    learning_rates: tuple[float, ...]
    seconds: float
    wall_clock: bool


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Everything that a report shows. `missing` says which runs gave no numbers, and why."""

    rows: tuple[Row, ...]
    missing: tuple[str, ...]
    records: tuple[Record, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks in the order of the records."""
        return tuple(dict.fromkeys(from_identity(record.config["task"]) for record in self.records))


def summarise(records: Sequence[Record]) -> Summary:
    """Group records by task and model, in the order given."""
    groups: dict[tuple[Task, str], list[Record]] = {}
    for record in records:
        key = (from_identity(record.config["task"]), record.config["model"]["stack"])
        groups.setdefault(key, []).append(record)
    rows = [row for (task, stack), group in groups.items() for row in rows_of(task, stack, group)]
    missing = tuple(
        f"{r.config['task']['name']} · {r.config['model']['stack']} · seed {r.config['seed']}: {r.status}, {r.because}"
        for r in records
        if r.status != "finished"
    )
    return Summary(rows=tuple(rows), missing=missing, records=tuple(records))


def rows_of(task: Task, stack: str, records: Sequence[Record]) -> list[Row]:
    """The rows of one model on one task, from the seeds that finished."""
    finished = [record for record in records if record.status == "finished"]
    if not finished:
        return []
    by_size = zip(*(record.results for record in finished), strict=True)
    return [row_of(task, stack, finished, results) for results in by_size]


def row_of(task: Task, stack: str, records: Sequence[Record], results: Sequence[Result]) -> Row:
    """One row from the results of every seed at one size."""
    size, facts, config = results[0].size, records[0].facts, records[0].config
    state_bits = results[0].state_bits
    recovered = [result.recovered_bits for result in results if result.recovered_bits is not None]
    limits = [result.recovered_at_least for result in results if result.recovered_at_least is not None]
    limit = best_accuracy(task, size, state_bits)
    # Rotary positions live in attention layers; a purely recurrent stack under them has none.
    positions = "none" if facts["recurrent"] and config["model"]["positions"] == "rope" else None
    return Row(
        task=task,
        stack=stack,
        size=size,
        token_accuracy=interval([result.token_accuracy for result in results], least=0, most=1),
        sequence_accuracy=interval([result.sequence_accuracy for result in results], least=0, most=1),
        loss=interval([result.loss for result in results], least=0),
        recovered=interval(recovered) if recovered else None,
        recovered_at_least=min(limits) if limits else None,
        state_bits=state_bits,
        required_bits=required_bits(task, size).value if task.measure == "accuracy" else None,
        best_accuracy=None if limit is None else limit.value,
        verdict=judge(
            task,
            size,
            accuracies=[result.sequence_accuracy for result in results],
            state_bits=state_bits,
            non_negative_decay=facts["non_negative_decay"],
            positions=positions or config["model"]["positions"],
        ),
        learning_rates=tuple(sorted({record.config["training"]["learning_rate"] for record in records})),
        seconds=sum(record.training["seconds"] for record in records) / len(records),
        wall_clock=records[0].training["budget"] == "wall-clock",
    )
