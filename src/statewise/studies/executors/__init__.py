"""Who runs a plan: processes of this machine, or a Ray cluster. The same runs, the same records."""

from statewise.studies.executors.all_runs import run_all
from statewise.studies.executors.local import Local
from statewise.studies.executors.protocol import Executor, Progress, Slots
from statewise.studies.executors.ray import Ray

__all__ = ["Executor", "Local", "Progress", "Ray", "Slots", "run_all"]
