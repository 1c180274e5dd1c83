import pytest

from statewise.constructions.turing_machine_examples import EXAMPLES
from statewise.constructions.turing_machine_task import TuringMachineTask
from statewise.constructions.turing_machine_trace import LoggedRun, last_entry
from statewise.core import UsageError
from statewise.core.errors import SearchError
from statewise.search import Page, PreviousTool, RegexTool
from statewise.search.page import END, SEARCH

SIZE = 4


def pages(machine, size=SIZE):
    """Every word's run, and its page."""
    run = LoggedRun(TuringMachineTask(machine))
    for tokens in run.task.inputs(size):
        prompt = (tokens + run.trace(size).notation.first).tolist()
        yield run.task.example.run(run.task.word(tokens.tolist())), prompt, run.page(prompt, size)


def by_pattern(trace):
    words = trace.notation.words
    return RegexTool(words, pattern=lambda query: last_entry(words, query))


@pytest.mark.parametrize("machine", EXAMPLES)
def test_a_log_is_the_run_of_the_simulator(machine):
    task = LoggedRun(TuringMachineTask(machine))
    trace = task.trace(SIZE)
    for run, prompt, page in pages(machine):
        assert len(page.tokens) - len(prompt) == 11 * len(run.steps) + 2
        assert trace.tape(page.tokens) == run.tape
        assert page.tokens[-1] == trace.state(run.verdict)
        written = [page.tokens[i : i + 6] for i in range(len(prompt) + 5, len(page.tokens) - 2, 11)]
        assert written == [
            [
                trace.opening,
                trace.cell(cell),
                trace.symbol(rule.write),
                trace.cell(cell),
                trace.move(rule.move),
                trace.state(rule.into),
            ]
            for cell, rule in run.steps
        ]


@pytest.mark.parametrize("machine", EXAMPLES)
def test_a_run_aloud_leaves_the_same_tape(machine):
    trace = LoggedRun(TuringMachineTask(machine)).trace(SIZE)
    for run, prompt, _ in pages(machine):
        page = Page(prompt, {})
        trace.think(prompt, page)
        assert len(page.tokens) - len(prompt) == 6 * len(run.steps) + 2 <= trace.longest(SIZE, retrieving=False)
        assert trace.tape(page.tokens) == run.tape
        assert page.tokens[-1] == trace.state(run.verdict)


@pytest.mark.parametrize("machine", EXAMPLES)
def test_the_pattern_of_the_last_write_finds_the_same(machine):
    task = LoggedRun(TuringMachineTask(machine))
    trace = task.trace(SIZE)
    for _, prompt, page in pages(machine):
        again = Page(prompt, {SEARCH: by_pattern(trace)})
        trace.retrieve(prompt, again)
        assert again.tokens == page.tokens


def test_a_pattern_without_its_beginning_finds_the_first_write():
    task = LoggedRun(TuringMachineTask("palindrome"))
    trace = task.trace(2)
    words = trace.notation.words
    context = task.page([trace.notation.first + token for token in task.task.prompt("00")], 2).tokens
    query = [trace.opening, trace.cell(0)]
    first = RegexTool(words, pattern=lambda query: last_entry(words, query).removeprefix("^.*"))
    assert words.text(first(query, context)) == "s0 "
    assert words.text(by_pattern(trace)(query, context)) == words.text(PreviousTool()(query, context)) == "s_ "


def test_a_tool_that_misleads_leads_to_no_endless_run():
    task = LoggedRun(TuringMachineTask("increment"))
    trace = task.trace(3)
    prompt = [trace.notation.first + token for token in task.task.prompt("111")]
    page = Page(prompt, {SEARCH: lambda query, context: [trace.symbol("1")]})
    trace.retrieve(prompt, page)
    assert len(page.tokens) - len(prompt) == trace.longest(3, retrieving=True)


def test_examples_hold_a_log_each_and_ask_for_what_is_the_models_own():
    task = LoggedRun(TuringMachineTask("increment"))
    batch = task.examples("test", seed=0, start=0, count=4, size=3)
    assert all(task.valid(tokens) for tokens in batch.tokens)
    assert task.identity() == {"name": "logged-run", "task": {"name": "turing-machine", "machine": "increment"}}
    row = batch.tokens[0].tolist()
    answers = [place + 1 for place, token in enumerate(row) if token == END]
    assert answers
    assert not batch.scored[0, [place - 1 for place in answers]].any()
    assert not batch.scored[0, : task.task.length(3) - 1].any()
    assert batch.scored[0, answers].all()


def test_a_cell_that_was_never_written_is_blank():
    trace = LoggedRun(TuringMachineTask("increment")).trace(1)
    words = trace.notation.words
    page = LoggedRun(trace.task).page([trace.notation.first + token for token in trace.task.prompt("0")], 1)
    assert "<search> write 2 <end> <failed> write 2 s_ 2 L qcarry" in words.text(page.tokens)


@pytest.mark.parametrize("query", [[], ["write"], ["1"], ["run", "1"], ["write", "s1"], ["write", "1", "1"]])
def test_other_queries_find_nothing(query):
    notation = LoggedRun(TuringMachineTask("increment")).trace(1).notation
    with pytest.raises(SearchError, match="is no query: it must be write c, with a cell c"):
        notation.pattern(notation.words, [notation.words.context.index(word) for word in query])


def test_a_size_that_is_none_is_refused():
    with pytest.raises(UsageError, match="turing-machine: size is 0; it must be a positive integer"):
        LoggedRun(TuringMachineTask("increment")).check_size(0)
