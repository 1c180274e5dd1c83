"""A plan as a file: canonical run configurations in JSON, to be run elsewhere, or later, as exactly the same runs."""

import json
from collections.abc import Sequence
from pathlib import Path

from statewise.core.config import to_plain
from statewise.core.errors import UsageError
from statewise.studies.run_config import FORMAT, RunConfig


def write_plan(runs: Sequence[RunConfig], path: Path) -> None:
    """Write a plan. A place that cannot be written is a UsageError."""
    text = json.dumps({"format": FORMAT, "runs": [to_plain(run) for run in runs]}, indent=1, sort_keys=True)
    try:
        path.write_text(text + "\n")
    except OSError as error:
        raise UsageError(f"the plan cannot be written to {path}: {error.strerror}") from None


def read_plan(path: Path) -> list[RunConfig]:
    """The runs that `write_plan` wrote, or that somebody wrote by hand.

    What is no plan, an unknown or a missing key and a value of another type are UsageErrors that name the place.

    >>> import tempfile
    >>> from statewise.studies import Comparison
    >>> runs = Comparison(tasks=("parity",)).plan()
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     write_plan(runs, Path(file.name))
    ...     read_plan(Path(file.name)) == runs
    True
    """
    try:
        plain = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"there is no plan to read at {path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path} is not a plan, which is JSON: {error}") from None
    if not isinstance(plain, dict) or plain.keys() != {"format", "runs"} or not isinstance(plain["runs"], list):
        raise UsageError(f"{path} is not a plan: it must hold `format` and a list of `runs`, and nothing else")
    if plain["format"] != FORMAT:
        raise UsageError(f"{path} is a plan of format {plain['format']!r}; here it is {FORMAT}: write the plan again")
    runs = [RunConfig.from_plain(run, where=f"{path}: runs[{at}]") for at, run in enumerate(plain["runs"])]
    for at, run in enumerate(runs):
        if run.format != FORMAT:
            raise UsageError(f"{path}: runs[{at}].format is {run.format}; it must be {FORMAT}, as the plan's")
    return runs
