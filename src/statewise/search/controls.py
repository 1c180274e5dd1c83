"""The token ids that steer generation. A model emits them; text never contains them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from statewise.core.errors import UsageError
from statewise.search.tool import Tool


@dataclass(frozen=True, kw_only=True)
class Controls:
    """Which ids open and close a search, stand for a failed one, and end a sequence.

    tools   the tool that each opening id calls
    end     closes the search that was opened last
    failed  is appended where nothing was found
    answer  after it the answer comes; None where there is no such mark
    stop    ends a sequence; None where nothing does

    Only ids that the model itself emits steer: those of the prompt and of what a tool returned are read as they are.
    """

    tools: Mapping[int, Tool] = field(default_factory=dict)
    end: int = -1
    failed: int = -1
    answer: int | None = None
    stop: int | None = None

    def __post_init__(self) -> None:
        if not self.tools:
            return
        marks = [mark for mark in (self.answer, self.stop) if mark is not None]
        named = [*self.tools, self.end, self.failed, *marks]
        if min(named) < 0 or len(set(named)) < len(named):
            raise UsageError(
                f"search: tools open with {list(self.tools)}, end is {self.end}, failed is {self.failed}, answer is "
                f"{self.answer} and stop is {self.stop}; these must be different token ids"
            )
