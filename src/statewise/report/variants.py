"""What to call models, so that runs of one name differ in their seed and learning rate alone."""

from collections.abc import Iterator, Sequence
from typing import Any

from statewise.core.config import canonical
from statewise.runs import Record
from statewise.runs.record import model_of_run

CHOSEN = {"seed", "training.learning_rate"}
"""What a mean is over, and what is selected."""


def names_of_models(records: Sequence[Record]) -> list[str]:
    """The model of each record: its stack and, where the same stack was run otherwise on the same task, how."""
    flat = [dict(settings(record.config)) for record in records]
    names = [model_of_run(record.config) for record in records]
    alike: dict[tuple[str, str], list[int]] = {}
    for i, record in enumerate(records):
        alike.setdefault((canonical(record.config["task"]), names[i]), []).append(i)
    for places in alike.values():
        differing = differences([flat[i] for i in places])
        for i in places if differing else ():
            said = ", ".join(f"{key.rpartition('.')[2]} {flat[i].get(key, '–')}" for key in differing)
            names[i] = f"{names[i]} ({said})"
    return names


def settings(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and values of a configuration, without what is chosen.

    >>> list(settings({"model": {"width": 8}, "seed": 3}))
    [('model.width', '8')]
    """
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from settings(value, f"{name}.")
        elif name not in CHOSEN:
            yield name, " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def differences(flat: Sequence[dict[str, str]]) -> list[str]:
    """The settings that are not the same in all, in order.

    >>> differences([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}])
    ['b']
    """
    keys = dict.fromkeys(key for each in flat for key in each)
    return [key for key in keys if len({each.get(key) for each in flat}) > 1]
