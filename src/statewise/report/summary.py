"""From records to rows: one for each task, model and size, with the bound beside the measurement.

Where several learning rates were tried, a row is about the one that was selected.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from statewise.bounds import best_accuracy
from statewise.report.interval import Interval, interval
from statewise.report.selection import Selection, best_seed, number, rate_of, result_at, select
from statewise.report.variants import names_of_models
from statewise.report.verdict import SOLVED_AT, UNTESTED, Verdict, judge, requirement
from statewise.runs import Record, Result
from statewise.runs.record import title_of_run
from statewise.tasks import Task, from_identity


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: means over the seeds that finished at the selected learning rate, on the test split.

    answers             of step-by-step tasks: accuracy of the answer, run freely; None where a task is answered at once
    solved              seeds that reach the threshold, of `seeds` that finished or diverged
    best                of the seed that is best on the validation split
    recovered           bits read back out of the state; None where the meter does not apply
    recovered_at_least  the lowest confidence limit of any seed
    state_bits          carried at the task's cut, without position counters
    required_bits       what a proof says that any reader which is always right must hold; None where none is proved
    best_accuracy       proved limit of token accuracy for that state; None where none is proved
    selection           the learning rates that were tried, and the one that was selected
    records             the runs that the means are over
    loss_per_byte       in nats, where tokens spell text and records say it
    """

    task: Task
    stack: str
    size: int
    answers: Interval | None = None
    token_accuracy: Interval
    sequence_accuracy: Interval
    loss: Interval
    recovered: Interval | None
    recovered_at_least: float | None
    state_bits: int
    required_bits: float | None
    best_accuracy: float | None
    verdict: Verdict
    selection: Selection
    solved: int
    seeds: int
    best: Result
    seconds: float
    wall_clock: bool
    records: tuple[Record, ...] = ()
    loss_per_byte: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class Untested:
    """A task, model and size without a single finished run at the selected learning rate."""

    task: Task
    stack: str
    size: int
    verdict: Verdict = UNTESTED


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Everything that a report shows. `missing` says which runs gave no numbers, and why; `models` names the model of
    each record.
    """

    rows: tuple[Row, ...]
    untested: tuple[Untested, ...]
    missing: tuple[str, ...]
    records: tuple[Record, ...]
    models: tuple[str, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks in the order of the records."""
        return tuple(dict.fromkeys(from_identity(record.config["task"]) for record in self.records))


def summarise(records: Sequence[Record]) -> Summary:
    """Group records by task and model, in the order given; of one stack, models that differ are told apart."""
    groups: dict[tuple[Task, str], list[Record]] = {}
    models = names_of_models(records)
    for record, model in zip(records, models, strict=True):
        groups.setdefault((from_identity(record.config["task"]), model), []).append(record)
    lines = [line for (task, stack), group in groups.items() for line in lines_of(task, stack, group)]
    return Summary(
        rows=tuple(line for line in lines if isinstance(line, Row)),
        untested=tuple(line for line in lines if isinstance(line, Untested)),
        missing=tuple(f"{title_of_run(r.config)}: {r.status}, {r.because}" for r in records if r.status != "finished"),
        records=tuple(records),
        models=tuple(models),
    )


def lines_of(task: Task, stack: str, records: Sequence[Record]) -> list[Row] | list[Untested]:
    """One model on one task, size by size, at the learning rate that is selected."""
    selection = select(task, records)
    chosen = [record for record in records if rate_of(record) == selection.learning_rate]
    sizes = chosen[0].config["evaluation"]["sizes"]
    if not any(record.status == "finished" for record in chosen):
        return [Untested(task=task, stack=stack, size=size) for size in sizes]
    return [row_of(task, stack, size, chosen, selection) for size in sizes]


def row_of(task: Task, stack: str, size: int, records: Sequence[Record], selection: Selection) -> Row:
    """One row from every seed at one size; at least one of them finished."""
    finished = [record for record in records if record.status == "finished"]
    results = [result_at(record, size) for record in finished]
    # A crash says nothing about the model; to diverge is a way of not solving.
    answers = [result.free.accuracy for result in results if result.free is not None]
    accuracies = answers or [number(result.sequence_accuracy) for result in results]
    accuracies = accuracies + [0.0 for record in records if record.status == "diverged"]
    per_byte = [result.loss_per_byte for result in results if result.loss_per_byte is not None]
    facts, config = finished[0].facts, finished[0].config
    state_bits = results[0].state_bits
    recovered = [result.recovered_bits for result in results if result.recovered_bits is not None]
    limits = [result.recovered_at_least for result in results if result.recovered_at_least is not None]
    required, limit = requirement(task, size), best_accuracy(task, size, state_bits)
    # Rotary positions live in attention layers; a purely recurrent stack under them has none.
    positions = "none" if facts["recurrent"] and config["model"]["positions"] == "rope" else None
    return Row(
        task=task,
        stack=stack,
        size=size,
        answers=interval(answers, least=0, most=1) if answers else None,
        token_accuracy=interval([number(result.token_accuracy) for result in results], least=0, most=1),
        sequence_accuracy=interval([number(result.sequence_accuracy) for result in results], least=0, most=1),
        loss=interval([result.loss for result in results], least=0),
        loss_per_byte=interval(per_byte, least=0) if per_byte else None,
        recovered=interval(recovered) if recovered else None,
        recovered_at_least=min(limits) if limits else None,
        state_bits=state_bits,
        required_bits=None if required is None else required.value,
        best_accuracy=None if limit is None else limit.value,
        verdict=judge(
            task,
            size,
            accuracies=accuracies,
            state_bits=state_bits,
            non_negative_decay=facts["non_negative_decay"],
            positions=positions or config["model"]["positions"],
            trained=config["training"]["steps"] > 0,
        ),
        selection=selection,
        solved=sum(accuracy >= SOLVED_AT for accuracy in accuracies),
        seeds=len(accuracies),
        best=result_at(best_seed(task, finished), size),
        seconds=sum(record.training["seconds"] for record in finished) / len(finished),
        wall_clock=finished[0].training["budget"] == "wall-clock",
        records=tuple(finished),
    )
