"""Search tools that a model can call, generation with them, and tasks that are answered step by step."""

from statewise.search.budget import Budget
from statewise.search.controls import Controls
from statewise.search.free_running import FreeRun, answer_accuracy, run_freely
from statewise.search.generate import Generation, Written, generate
from statewise.search.page import Page
from statewise.search.passages import PassageTool
from statewise.search.previous import PreviousTool
from statewise.search.recall_tool import RecallTool
from statewise.search.regex import RegexTool
from statewise.search.tool import Call, Tool
from statewise.search.traced import ANSWERS, ChainOfThought, Retrieval, Traced
from statewise.search.traces import TRACES
from statewise.search.words import Words, bytes_as_words

__all__ = [
    "ANSWERS",
    "TRACES",
    "Budget",
    "Call",
    "ChainOfThought",
    "Controls",
    "FreeRun",
    "Generation",
    "Page",
    "PassageTool",
    "PreviousTool",
    "RecallTool",
    "RegexTool",
    "Retrieval",
    "Tool",
    "Traced",
    "Words",
    "Written",
    "answer_accuracy",
    "bytes_as_words",
    "generate",
    "run_freely",
]
