"""The loop and the evaluation. Emits events; knows no run folder."""

from statewise.training.checkpoint import Checkpoint, Keeper
from statewise.training.config import TrainingConfig
from statewise.training.evaluate import Score, evaluate
from statewise.training.loop import Outcome, train

__all__ = ["Checkpoint", "Keeper", "Outcome", "Score", "TrainingConfig", "evaluate", "train"]
