"""statewise: sequence layers that train in parallel and decode in constant memory, and what they can hold."""

from statewise import (
    bounds,
    capacity,
    constructions,
    core,
    mixers,
    models,
    nn,
    ops,
    runs,
    search,
    studies,
    tasks,
    testing,
    training,
)
from statewise.models import LanguageModel
from statewise.studies import load

__all__ = [
    "LanguageModel",
    "__version__",
    "bounds",
    "capacity",
    "constructions",
    "core",
    "load",
    "mixers",
    "models",
    "nn",
    "ops",
    "runs",
    "search",
    "studies",
    "tasks",
    "testing",
    "training",
]

__version__ = "0.1.0"
