"""Calls: whatever a tool does, one comes of it, with the reason in words."""

import itertools
import threading
import time

import numpy as np
import pytest
import torch

from search.scripted import Spy
from statewise.core.errors import SearchError
from statewise.search import Call
from statewise.search.calling import call

KINDS = pytest.mark.parametrize("bounded", [True, False])


def made(answer, bounded, seconds=5.0, tool=None):
    """What becomes of the query 3 4 after 0 1 2, among 10 ids."""
    tool = Spy(answer, bounded) if tool is None else tool
    return call(tool, [3, 4], [0, 1, 2], vocabulary=10, seconds=seconds)


def raising(error):
    def answer(query, context):
        raise error

    return answer


@KINDS
@pytest.mark.parametrize(
    "answer",
    [[7, 0, 9], (7, 0, 9), np.array([7, 0, 9]), torch.tensor([7, 0, 9]), [np.int64(7), False, torch.tensor(9)]],
)
def test_an_answer_is_kept_as_plain_ids(answer, bounded):
    found = made(lambda query, context: answer, bounded)
    assert found == Call(6, (3, 4), (7, 0, 9), "")
    assert not found.failed
    assert [type(each) for each in found.answer] == [int] * 3


@KINDS
def test_a_tool_gets_the_query_and_the_context(bounded):
    tool = Spy(bounded=bounded)
    made(None, bounded, tool=tool)
    assert tool.asked == [([3, 4], [0, 1, 2])]


@KINDS
def test_the_place_is_that_of_the_token_that_closes_the_search(bounded):
    sequence = [0, 1, 2, "search", 3, 4, "end"]
    assert sequence[made(lambda query, context: [1], bounded).place] == "end"


@KINDS
@pytest.mark.parametrize(
    ("answer", "because"),
    [
        (raising(SearchError("no such cell")), "no such cell"),
        (raising(ValueError("7 is odd")), "the tool raised ValueError: 7 is odd"),
        (raising(KeyError("cell")), "the tool raised KeyError: 'cell'"),
        (raising(StopIteration()), "the tool raised StopIteration: "),
        (raising(RecursionError("deep")), "the tool raised RecursionError: deep"),
        (raising(MemoryError()), "the tool raised MemoryError: "),
        (lambda query: [1], "the tool raised TypeError: "),
        (lambda query, context: [], "nothing was found"),
        (lambda query, context: torch.tensor([], dtype=torch.int64), "nothing was found"),
        (lambda query, context: [1, 10], "the tool returned 10, and the model's ids are from 0 to 9"),
        (lambda query, context: [1, -1], "the tool returned -1, and the model's ids are from 0 to 9"),
        (lambda query, context: None, "the tool returned NoneType, and a sequence of token ids was needed"),
        (lambda query, context: 7, "the tool returned int, and a sequence of token ids was needed"),
        (lambda query, context: "77", "the tool returned str, and a sequence of token ids was needed"),
        (lambda query, context: [7.0], "the tool returned list, and a sequence of token ids was needed"),
        (lambda query, context: [[7]], "the tool returned list, and a sequence of token ids was needed"),
        (lambda query, context: itertools.count(), "the tool returned count, and a sequence of token ids was needed"),
        (
            lambda query, context: (i for i in (1, 2)),
            "the tool returned generator, and a sequence of token ids was needed",
        ),
        (lambda query, context: torch.tensor(7), "the tool raised TypeError: "),
        (lambda query, context: torch.tensor([7.5]), "the tool raised TypeError: "),
    ],
)
def test_whatever_a_tool_does_wrong_is_a_failed_call_with_a_reason(answer, because, bounded):
    found = made(answer, bounded)
    assert found[:3] == (6, (3, 4), ())
    assert found.failed
    assert found.because.startswith(because)
    assert found.because == because or because.startswith("the tool raised TypeError")


def test_a_tool_that_hangs_is_left_behind():
    release = threading.Event()
    before = time.perf_counter()
    found = made(lambda query, context: release.wait(10) and [1], bounded=False, seconds=0.2)
    assert 0.2 <= time.perf_counter() - before < 2
    assert found == Call(6, (3, 4), (), "the tool did not answer within 0.2 s")
    (left,) = (each for each in threading.enumerate() if each.name == "statewise search tool")
    assert left.daemon
    release.set()
    left.join(5)
    assert not left.is_alive()


def test_a_tool_that_is_slow_but_in_time_is_heard():
    assert made(lambda query, context: time.sleep(0.05) or [1], bounded=False, seconds=30.0).answer == (1,)
    assert made(lambda query, context: [1], bounded=False, seconds=float("inf")).answer == (1,)


def test_bounded_tools_are_called_here_and_others_in_a_thread_of_their_own():
    where = []

    def answer(query, context):
        where.append(threading.current_thread().name)
        return [1]

    made(answer, bounded=True)
    made(answer, bounded=False)
    assert where == [threading.current_thread().name, "statewise search tool"]


def test_interrupts_are_not_faults_of_a_tool():
    with pytest.raises(KeyboardInterrupt):
        made(raising(KeyboardInterrupt()), bounded=True)
