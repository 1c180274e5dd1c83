"""How often a model answers rightly, at once or step by step."""

from statewise.runs import Result


def accuracy(result: Result) -> float:
    """Of the answer: run freely where there is something to write before it."""
    if result.free is not None:
        return result.free.accuracy
    assert result.sequence_accuracy is not None
    return result.sequence_accuracy
