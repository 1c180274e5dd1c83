"""The loop and the evaluation. Emits events; knows no run folder."""

from statewise.training.checkpoint import Checkpoint, Keeper
from statewise.training.config import TrainingConfig
from statewise.training.evaluate import Score, evaluate
from statewise.training.group import Group, join
from statewise.training.loop import Outcome, train
from statewise.training.parallelism import Parallelism

__all__ = [
    "Checkpoint",
    "Group",
    "Keeper",
    "Outcome",
    "Parallelism",
    "Score",
    "TrainingConfig",
    "evaluate",
    "join",
    "train",
]
