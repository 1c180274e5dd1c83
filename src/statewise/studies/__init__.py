"""Which runs, in what order, by whom: comparisons, their presets, and the executors."""

from statewise.studies.comparison import Comparison
from statewise.studies.execute import execute
from statewise.studies.executors import Progress, run_all
from statewise.studies.presets import PRESETS, Preset
from statewise.studies.run_config import EvaluationConfig, RunConfig
from statewise.studies.saved import SavedRun, load

__all__ = [
    "PRESETS",
    "Comparison",
    "EvaluationConfig",
    "Preset",
    "Progress",
    "RunConfig",
    "SavedRun",
    "execute",
    "load",
    "run_all",
]
