"""The search of `compare --find-limit`: trains size after size until a model's limit is bracketed."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from statewise.bounds import Bound
from statewise.core.errors import UsageError
from statewise.report import Limit, Row, Summary, summarise
from statewise.report.selection import number
from statewise.runs import Record
from statewise.studies import Comparison, RunConfig
from statewise.studies.comparison import preset_of
from statewise.studies.limit import bracket, exists, forbidden_at
from statewise.tasks import Task, from_identity

TIMES_LARGEST = 16
"""Where no range is named, the search ends at so many times the preset's largest size."""

PROOF_TIMES = 16
"""How far beyond the range a proof is looked for: what it says of larger sizes needs no training."""

Run = Callable[[list[RunConfig]], list[Record]]


def find_limits(asked: Comparison, level: float, run: Run) -> list[Limit]:
    """The limit of every model on every task. What cannot be asked is a UsageError before anything is trained."""
    check(asked, level)
    searches = []
    for name in asked.tasks:
        task, low, high = range_of(replace(asked, tasks=(name,)))
        searches += [(replace(asked, tasks=(name,), models=(stack,)), task, low, high) for stack in asked.models]
    return [search(*each, level, run) for each in searches]


def check(asked: Comparison, level: float) -> None:
    """Raise a UsageError unless the search makes sense."""
    if not 0 < level <= 1:
        raise UsageError(f"compare: find_limit is {level}; it must be a token accuracy above 0 and at most 1")
    if asked.train_sizes is not None:
        raise UsageError("compare: find_limit trains at each size that it tries; it takes no train_sizes")
    if asked.answer != "direct":
        raise UsageError(f"compare: answer is {asked.answer}; find_limit is about what is answered at once")
    if asked.constructed or asked.init is not None:
        raise UsageError("compare: find_limit is about what models learn; it takes neither constructed nor init")
    if asked.sizes is not None and (len(asked.sizes) != 2 or asked.sizes[0] >= asked.sizes[1]):
        got = " ".join(map(str, asked.sizes)) or "none"
        raise UsageError(f"compare: with find_limit sizes are the smallest and the largest to try; they are {got}")


def range_of(asked: Comparison) -> tuple[Task, int, int]:
    """The task of a comparison on one task, and the smallest and the largest size to try."""
    preset = preset_of(asked.tasks[0])
    if asked.sizes is None and preset.sizes:
        # Settings decide which sizes there are, and they are in the task that a plan is for.
        task = from_identity(replace(asked, sizes=preset.sizes[:1]).plan()[0].task)
        largest = max(preset.sizes)
        ends = range(TIMES_LARGEST * largest, largest - 1, -1)
        asked = replace(asked, sizes=(min(preset.sizes), next(size for size in ends if exists(task, size))))
    task = from_identity(asked.plan()[0].task)
    if task.measure != "accuracy":
        raise UsageError(f"compare: {task.name} is measured in {task.measure}; find_limit is about token accuracy")
    assert asked.sizes is not None
    low, high = asked.sizes
    return task, low, high


def search(asked: Comparison, task: Task, low: int, high: int, level: float, run: Run) -> Limit:
    """The limit of one model on one task."""
    found: dict[int, Summary] = {}
    records: list[Record] = []

    def accuracy(size: int) -> float:
        trained = run(replace(asked, sizes=(size,)).plan())
        found[size] = summarise(trained)
        records.extend(trained)
        return validation_accuracy(found[size].rows)

    sides = bracket(accuracy, level, low, high, has=lambda size: exists(task, size))
    measured = {size: row for size, summary in found.items() for row in summary.rows}
    untested = {size: line for size, summary in found.items() for line in summary.untested}
    finished = [record for record in records if record.status == "finished"]
    return Limit(
        task=task,
        stack=asked.models[0],
        level=level,
        lines={**measured, **untested},
        accuracy=sides.tried,
        above=sides.above,
        below=sides.below,
        forbidden=forbidden(task, finished, level, low, high),
        missing=tuple(f"size {size} · {text}" for size, summary in found.items() for text in summary.missing),
    )


def forbidden(task: Task, records: Sequence[Record], level: float, low: int, high: int) -> tuple[int, Bound] | None:
    """The least size at which a proof forbids the level; a state that grows with the size has none."""
    held = {result.state_bits for record in records for result in record.results}
    if len(held) != 1 or not all(record.facts["recurrent"] for record in records):
        return None
    return forbidden_at(task, held.pop(), level, low, PROOF_TIMES * high)


def validation_accuracy(rows: tuple[Row, ...]) -> float:
    """Mean token accuracy over seeds at the selected learning rate on the validation split; 0 where no run finished."""
    if not rows:
        return 0.0
    selection, size = rows[0].selection, rows[0].size
    trial = next(trial for trial in selection.trials if trial.learning_rate == selection.learning_rate)
    return number(trial.by_size[size].token_accuracy)
