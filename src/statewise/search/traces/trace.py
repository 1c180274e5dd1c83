"""What a task needs to be answered step by step: a notation, and a solver for either way of answering."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from statewise.search.page import Page
from statewise.search.traces.notation import Notation
from statewise.tasks import Task


class Trace(ABC):
    """Solvers of one task at sizes up to `largest`; they read the prompt and know nothing else.

    Prompts and pages are in the notation's ids.
    """

    solves: ClassVar[type[Task]]

    def __init__(self, task: Any, largest: int) -> None:
        self.task = task
        self.largest = largest
        self.notation = self.write_down()

    @abstractmethod
    def write_down(self) -> Notation:
        """The words of the task's ids."""

    @abstractmethod
    def think(self, prompt: list[int], page: Page) -> None:
        """Write the chain of thought and the answer: nothing is asked of a tool."""

    @abstractmethod
    def retrieve(self, prompt: list[int], page: Page) -> None:
        """Write the searches and the answer."""

    @abstractmethod
    def longest(self, size: int, *, retrieving: bool) -> int:
        """Tokens of the longest trace at a size, answer included, prompt not."""

    def own(self, token: int) -> int:
        """The task's own id of a token."""
        return token - self.notation.first
