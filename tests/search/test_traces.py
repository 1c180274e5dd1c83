"""Traces: each is replayed through the tools that generation uses, to the same tokens, and ends in the right answer."""

import re
from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search.traced_tasks import CASES, TASKS
from statewise.core.errors import SearchError, UsageError
from statewise.search import TRACES, ChainOfThought, Page, PreviousTool, Retrieval
from statewise.search.page import ANSWER, CONTROLS, END, FAILED, PAD, SEARCH
from statewise.search.traces import trace_of
from statewise.search.traces.is_tree import pattern_of
from statewise.tasks import Batch, Copy, Counting, IndexLookup, IsTree, Task
from statewise.tasks.is_tree import BEGIN, DASH, FIRST_VERTEX
from statewise.tasks.is_tree import END as LAST

SEEDS = st.integers(0, 10**6)
EVERY_CASE = pytest.mark.parametrize(("task", "size"), CASES)


def pages(task, size, seed, count=6):
    """The whole sequences of some examples, and the base task's answers in the ids of traces."""
    batch = task.task.examples("train", seed=seed, start=0, count=count, size=size)
    first = task.trace(size).notation.first
    solved = task.task.solve(batch)[:, -1] + first
    return [task.page(prompt, size) for prompt in task.prompts(batch, size).tolist()], solved.tolist()


def found(tool, query, context):
    """What generation would append."""
    try:
        return tool(query, context)
    except SearchError:
        return [FAILED]


def replayed(page, tool):
    """The sequence with what the tool finds behind each search of the solver's own."""
    tokens, opened = list(page.tokens), 0
    for place, token in enumerate(page.tokens):
        if page.own[place] and token == SEARCH:
            opened = place
        elif page.own[place] and token == END:
            tokens[place + 1 : place + 2] = found(tool, tokens[opened + 1 : place], tokens[:opened])
    return tokens


def test_every_task_with_traces_is_tested():
    assert {type(task) for task, _ in TASKS} == set(TRACES)


@EVERY_CASE
@settings(max_examples=4, deadline=None)
@given(SEEDS)
def test_searches_are_replayed_to_the_same_tokens(task, size, seed):
    retrieval = Retrieval(task)
    for page in pages(retrieval, size, seed)[0]:
        assert replayed(page, retrieval.tools(size)[SEARCH]) == page.tokens
        assert page.tokens.count(SEARCH) == page.tokens.count(END) > 0


@EVERY_CASE
@pytest.mark.parametrize("answering", [ChainOfThought, Retrieval])
@settings(max_examples=4, deadline=None)
@given(SEEDS)
def test_the_answer_is_what_the_task_says(answering, task, size, seed):
    written, answers = pages(answering(task), size, seed)
    for page, answer in zip(written, answers, strict=True):
        assert page.tokens[-2:] == [ANSWER, answer]
        assert page.tokens.count(ANSWER) == 1


@EVERY_CASE
def test_only_what_tools_found_and_the_prompt_is_not_the_solvers_own(task, size):
    for page in pages(Retrieval(task), size, seed=0)[0]:
        prompt = task.length(size)
        said = [page.tokens[place - 1] == END and page.own[place - 1] for place in range(prompt, len(page.tokens))]
        assert page.own == [False] * prompt + [not each for each in said]
        assert not any(token in (PAD, SEARCH, END, ANSWER) for token in page.tokens[:prompt])
    for page in pages(ChainOfThought(task), size, seed=0)[0]:
        assert page.own == [False] * prompt + [True] * (len(page.tokens) - prompt)
        assert not {PAD, SEARCH, END, FAILED} & set(page.tokens)


@EVERY_CASE
@pytest.mark.parametrize("answering", [ChainOfThought, Retrieval])
def test_no_trace_is_longer_than_said_and_among_all_inputs_one_is_as_long(answering, task, size):
    step_by_step, inputs = answering(task), task.inputs(size)
    every = [] if inputs is None else list(islice(inputs, 1001))
    asked = every if 0 < len(every) <= 1000 else task.examples("train", seed=0, start=0, count=50, size=size).tokens
    first = step_by_step.trace(size).notation.first
    lengths = [len(step_by_step.page((prompt + first).tolist(), size).tokens) for prompt in asked]
    assert max(lengths) == step_by_step.length(size) or (len(asked) == 50 and max(lengths) < step_by_step.length(size))


def graph(text):
    """ "2-0 4-3" as a prompt in the task's own ids."""
    edges = [tuple(map(int, edge.split("-"))) for edge in text.split()]
    return [BEGIN, *(token for u, v in edges for token in (FIRST_VERTEX + u, DASH, FIRST_VERTEX + v)), LAST]


def trace_in_words(task, text):
    """What is written after a graph, in words."""
    prompt = (torch.tensor(graph(text)) + task.trace(8).notation.first).tolist()
    page = task.page(prompt, 8)
    return task.trace(8).notation.words.text(page.tokens[len(prompt) :])


TOUR, CYCLE = "2-1 4-1 6-1 5-2 7-0 3-1 5-0", "2-0 5-2 4-3 7-2 6-3 5-0 3-1"


@pytest.mark.parametrize(
    ("text", "trace"),
    [(TOUR, "0 7 0 5 2 1 4 1 6 1 3 1 2 5 0 <answer> yes "), (CYCLE, "0 2 5 <answer> no ")],
)
def test_the_walks_of_the_paper(text, trace):
    """As its code writes them: theory.md, 1.2."""
    assert trace_in_words(ChainOfThought(IsTree()), text) == trace


def test_the_searches_of_a_cycle():
    """By the loop of theory.md, 1.2, by hand: 5's first neighbour is its father 2, its next one the root."""
    searches = [
        "0 <search> 0 ~ <end> <failed> <search> 0 - <end> 2 <search> 2 ~ <end> <failed> 2 ~ 0",
        "2 <search> 2 ~ <end> 0 <search> 2 - <end> 0 <search> 2 - 0 <end> 5 <search> 5 ~ <end> <failed> 5 ~ 2",
        "5 <search> 5 ~ <end> 2 <search> 5 - <end> 2 <search> 5 - 2 <end> 0 <search> 0 ~ <end> <failed>",
        "<answer> no ",
    ]
    assert trace_in_words(Retrieval(IsTree()), CYCLE) == " ".join(searches)


def is_a_tree(page):
    return page.tokens[-1] == page.tokens[0] - BEGIN + 1


@pytest.mark.parametrize("names", [None, 40])
@pytest.mark.parametrize("size", [4, 8, 16])
def test_lengths_of_trees_are_the_papers_and_others_are_shorter(size, names):
    walks = pages(ChainOfThought(IsTree(names=names)), size, 0, 60)[0]
    searches = pages(Retrieval(IsTree(names=names)), size, 0, 60)[0]
    prompt, answer = 3 * size - 1, 2
    trees = 0
    for walk, search in zip(walks, searches, strict=True):
        assert is_a_tree(walk) == is_a_tree(search)
        if is_a_tree(walk):
            trees += 1
            assert len(walk.tokens) - prompt - answer == 2 * size - 1
            assert len(walk.tokens) == 5 * size
            assert len(search.tokens) - prompt - answer == 37 * size - 26
            assert len(search.tokens) == 40 * size - 25
        else:
            assert len(walk.tokens) < 5 * size
            assert len(search.tokens) < 40 * size - 25
    assert 10 < trees < 50


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from([4, 6, 11]), st.sampled_from([None, 30]))
def test_searches_visit_the_vertices_that_the_walk_visits(seed, size, names):
    """u ~ v is written where u is entered from v, and the walk is these entries and the ways back."""
    walks = pages(ChainOfThought(IsTree(names=names)), size, seed, 2)[0]
    searches = pages(Retrieval(IsTree(names=names)), size, seed, 2)[0]
    words = Retrieval(IsTree(names=names)).trace(size).notation.words
    for walk, search in zip(walks, searches, strict=True):
        visited = words.text(walk.tokens[3 * size - 1 : -2]).split()
        new = list(dict.fromkeys(visited))
        fathers = re.findall(r"(?<!<search> )\b(\d+) ~ (\d+) ", words.text(search.tokens))
        assert [u for u, _ in fathers] == new[1:]
        assert all(visited[visited.index(u) - 1] == v for u, v in fathers)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(4, 24))
def test_neighbours_are_found_in_the_order_of_the_edges(seed, size):
    retrieval = Retrieval(IsTree())
    batch = retrieval.task.examples("train", seed=seed, start=0, count=1, size=size)
    (prompt,) = retrieval.prompts(batch, size).tolist()
    edges = list(zip(prompt[1:-1:3], prompt[3:-1:3], strict=True))
    (tool,), dash = retrieval.tools(size).values(), prompt[2]
    for vertex in {each for edge in edges for each in edge}:
        near = [v if u == vertex else u for u, v in edges if vertex in (u, v)]
        assert tool([vertex, dash], prompt) == near[:1]
        for one, other in zip(near, [*near[1:], None], strict=True):
            if other is None:
                with pytest.raises(SearchError, match=r"matches nothing$"):
                    tool([vertex, dash, one], prompt)
            else:
                assert tool([vertex, dash, one], prompt) == [other]


def test_queries_of_is_tree_that_are_none_say_so():
    words = Retrieval(IsTree()).trace(8).notation.words
    for text in ("", "~", "- 3", "3", "3 ~ 4", "3 - 4 5", "3 - -", "yes ~", "3 yes", "3 - no", "<search> -", "3 ; 4"):
        with pytest.raises(SearchError) as caught:
            pattern_of(words, words.ids(f"{text} " if text else ""))
        assert str(caught.value) == f"{text!r} is no query: it must be v ~, v - or v - p, with vertices v and p"


@EVERY_CASE
def test_controls_and_marks_stand_apart_from_the_tasks_ids(task, size):
    notation = trace_of(task, size).notation
    assert notation.first == len(CONTROLS) + len(notation.marks)
    assert len(notation.words.context) == notation.first + task.vocabulary(size)
    assert notation.words.pieces[: len(CONTROLS)] == (None,) * len(CONTROLS)


@pytest.mark.parametrize("task", [Copy(), IndexLookup(alphabet=4, queries=2)])
@pytest.mark.parametrize("answering", [ChainOfThought, Retrieval])
def test_tasks_without_a_solver_are_refused(task, answering):
    said = {
        "copy": "copy is not answered step by step; the tasks that are: "
        "is-tree, index-lookup, associative-recall, c-gram-retrieval, counting",
        "index-lookup": "index-lookup: queries is 2 and size is 1; step by step there is one query, of at most 1001",
    }[task.name]
    with pytest.raises(UsageError, match=f"^{re.escape(said)}"):
        answering(task)


def test_a_subclass_of_a_task_has_no_solver_of_its_own():
    class Other(IsTree):
        name = "other"

    with pytest.raises(UsageError, match=r"^other is not answered step by step"):
        ChainOfThought(Other())


@pytest.mark.parametrize(
    ("task", "largest", "said"),
    [
        (
            IndexLookup(alphabet=2),
            1001,
            "index-lookup: queries is 1 and size is 1002; step by step there is one query,",
        ),
        (Counting(alphabet=2), 1000, "counting: there are 1001 thresholds; step by step there may be at most 1000"),
    ],
)
def test_sizes_beyond_what_patterns_repeat_are_refused(task, largest, said):
    retrieval = Retrieval(task)
    batch = retrieval.sample(torch.Generator().manual_seed(0), 3, largest)
    assert bool((retrieval.solve(batch) == batch.targets).all())
    with pytest.raises(UsageError, match=f"^{re.escape(said)}"):
        retrieval.check_size(largest + 1)


def test_a_page_keeps_what_is_its_own():
    page = Page([7, 9], {SEARCH: PreviousTool()})
    assert page.search(9) is None
    page.write(8, 8)
    assert page.search(7) == 9
    page.answer(5)
    assert page.tokens == [7, 9, SEARCH, 9, END, FAILED, 8, 8, SEARCH, 7, END, 9, ANSWER, 5]
    assert "".join("ft"[own] for own in page.own) == "ffttt" + "f" + "tt" + "ttt" + "f" + "tt"


def test_batches_are_tensors_of_their_own():
    assert isinstance(Retrieval(Counting()).sample(torch.Generator().manual_seed(0), 2, 3), Batch)
    assert isinstance(Retrieval(Counting()), Task)
