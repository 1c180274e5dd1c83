"""The loop and the evaluation. Emits events; knows no run folder."""

from statewise.training.config import TrainingConfig
from statewise.training.evaluate import Score, evaluate
from statewise.training.loop import Outcome, train

__all__ = ["Outcome", "Score", "TrainingConfig", "evaluate", "train"]
