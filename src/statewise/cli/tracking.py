"""Who else hears of the runs of a command: options of all commands that train."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from statewise.core.listeners import SinkMaker
from statewise.studies.sinks import chosen_sinks


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Sinks for the events of runs: no part of what a run is, so that finished runs stay as they are."""

    tensorboard: bool = False
    """Write each run's losses and accuracies for TensorBoard, below tensorboard/ in the output; needs the extra
    `tensorboard`."""
    sinks: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--sink"])] = ()
    """Sinks of your own, by dotted path, as in my_module:MySink: made for each run, and told what it says."""

    def makers(self) -> tuple[SinkMaker, ...]:
        """Makers of the sinks that are asked for; what cannot be had is a UsageError."""
        return chosen_sinks(self.sinks, tensorboard=self.tensorboard)
