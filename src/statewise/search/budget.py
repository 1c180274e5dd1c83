"""How far generation may go, and how it ended."""

import math
from dataclasses import dataclass

from statewise.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits of one sequence; each ends it with a reason of its own.

    tokens            that the model and its tools may write
    calls             of tools
    seconds           for the whole batch
    seconds_per_call  that a tool may take; then the search has failed, and the tool is left behind
    """

    tokens: int = 512
    calls: int = 64
    seconds: float = math.inf
    seconds_per_call: float = 5.0

    def __post_init__(self) -> None:
        if self.tokens < 1 or self.calls < 0 or not (self.seconds > 0 and self.seconds_per_call > 0):
            raise UsageError(
                f"search: the budget is {self}; it needs at least one token, no fewer than 0 calls, and positive times"
            )
