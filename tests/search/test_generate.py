"""Generation with tools, one sequence at a time: what each token sets off, how it ends, and what steers nothing."""

import math
import time

import pytest
import torch

from search.scripted import ANSWER, ANY, END, FAILED, OTHER, SEARCH, STOP, Scripted, Spy, controls
from statewise.core.errors import SearchError, UsageError
from statewise.core.random import seeded
from statewise.core.state import state_bits
from statewise.models import LanguageModel
from statewise.search import Budget, Call, Controls, RegexTool, bytes_as_words, generate

PROMPT = [1, 2, 3]


def write(script, tool=None, prompt=PROMPT, budget=None, **more):
    """What one sequence writes by a script, and what its model has read."""
    model = Scripted([script])
    made = generate(
        model, [prompt], controls=controls(tool, **more), budget=Budget(tokens=20) if budget is None else budget
    )
    return made.written[0], model.fed[0]


def test_a_search_is_answered_and_the_model_goes_on_from_it():
    tool = Spy(lambda query, context: [7, 8])
    script = [4, SEARCH, 5, 6, END, ANY, ANY, 9, ANSWER, 2]
    written, fed = write(script, tool)
    assert tool.asked == [([5, 6], [1, 2, 3, 4])]
    assert written.tokens == [4, SEARCH, 5, 6, END, 7, 8, 9, ANSWER, 2]
    assert written.own == [True] * 5 + [False] * 2 + [True] * 3
    assert written.calls == [Call(7, (5, 6), (7, 8))]
    assert (written.ended, written.because) == ("answered", "the model gave its answer")
    assert written.answer == 2
    assert fed == PROMPT + written.tokens[:-1]


def test_a_failed_search_is_answered_by_the_mark_of_failure():
    def nothing(query, context):
        raise SearchError("no such place")

    written, fed = write([SEARCH, 5, END, ANY, 9, STOP], Spy(nothing))
    assert written.tokens == [SEARCH, 5, END, FAILED, 9, STOP]
    assert written.own == [True, True, True, False, True, True]
    assert written.calls == [Call(5, (5,), (), "no such place")]
    assert (written.ended, written.because) == ("stopped", "the model stopped")
    assert written.answer is None
    assert fed[-2:] == [FAILED, 9]


def test_an_answer_with_an_id_that_the_model_lacks_has_failed():
    written, _ = write([SEARCH, 5, END, ANY, STOP], Spy(lambda query, context: [3, 16]))
    assert written.tokens == [SEARCH, 5, END, FAILED, STOP]
    assert written.calls[0].because == "the tool returned 16, and the model's ids are from 0 to 15"


def test_a_later_search_sees_the_earlier_ones():
    tool = Spy()
    write([SEARCH, 5, END, ANY, SEARCH, END, ANY, STOP], tool)
    assert tool.asked == [([5], PROMPT), ([], [*PROMPT, SEARCH, 5, END, 7])]


def test_a_search_that_is_opened_while_another_is_open_takes_its_place():
    tool, other = Spy(), Spy(lambda query, context: [8])
    written, _ = write([SEARCH, 4, OTHER, 5, END, ANY, STOP], tools={SEARCH: tool, OTHER: other}, stop=9)
    assert tool.asked == []
    assert other.asked == [([5], [*PROMPT, SEARCH, 4])]
    assert written.tokens[:6] == [SEARCH, 4, OTHER, 5, END, 8]


def test_a_search_that_is_opened_twice_is_closed_once():
    tool = Spy()
    written, _ = write([SEARCH, 4, SEARCH, 5, END, ANY, END, 6, STOP], tool)
    assert tool.asked == [([5], [*PROMPT, SEARCH, 4])]
    assert written.tokens == [SEARCH, 4, SEARCH, 5, END, 7, END, 6, STOP]


def test_an_end_without_a_search_is_read_as_any_token():
    tool = Spy()
    written, _ = write([END, 4, END, STOP], tool)
    assert tool.asked == written.calls == []
    assert written.tokens == [END, 4, END, STOP]


def test_each_opening_token_calls_its_own_tool():
    tool, other = Spy(), Spy(lambda query, context: [8])
    written, _ = write([OTHER, 1, END, ANY, SEARCH, 2, END, ANY, STOP], tools={SEARCH: tool, OTHER: other})
    assert [made.answer for made in written.calls] == [(8,), (7,)]
    assert (tool.asked[0][0], other.asked[0][0]) == ([2], [1])


@pytest.mark.parametrize("token", [SEARCH, END, FAILED, ANSWER, STOP])
def test_the_token_after_the_mark_is_the_answer_whatever_it_is(token):
    written, _ = write([ANSWER, token, 5])
    assert (written.ended, written.answer, written.tokens) == ("answered", token, [ANSWER, token])


def test_without_controls_nothing_steers():
    made = generate(
        Scripted([[SEARCH, 5, END, ANSWER, STOP, 4]]), [PROMPT], controls=Controls(), budget=Budget(tokens=6)
    )
    assert made.written[0].tokens == [SEARCH, 5, END, ANSWER, STOP, 4]
    assert made.written[0].because == "the budget of 6 tokens is used up"
    assert made.searched_bits == 0


def test_controls_in_the_prompt_trigger_nothing():
    tool = Spy()
    prompt = [ANSWER, SEARCH, 4, END, STOP, FAILED, SEARCH]
    written, fed = write([5, END, 6, STOP], tool, prompt)
    assert tool.asked == written.calls == []
    assert (written.tokens, written.ended) == ([5, END, 6, STOP], "stopped")
    assert fed == [*prompt, 5, END, 6]


def test_a_search_opened_in_the_prompt_is_not_closed_by_the_model():
    written, _ = write([END, 5, STOP], prompt=[1, SEARCH, 2])
    assert (written.calls, written.tokens) == ([], [END, 5, STOP])


@pytest.mark.parametrize("said", [[ANSWER, 4], [STOP], [SEARCH, 4, END], [END, SEARCH], [FAILED]])
def test_controls_in_what_a_tool_returned_trigger_nothing(said):
    tool = Spy(lambda query, context: said)
    written, _ = write([SEARCH, 5, END, *[ANY] * len(said), 6, END, STOP], tool)
    assert len(tool.asked) == len(written.calls) == 1
    assert written.tokens == [SEARCH, 5, END, *said, 6, END, STOP]
    assert written.own == [True] * 3 + [False] * len(said) + [True] * 3
    assert written.ended == "stopped"


def test_text_that_spells_a_control_triggers_nothing():
    """A model of bytes that copies what its user typed writes bytes, and no control."""
    search, end = 256, 257
    words = bytes_as_words(["<search>", "<end>"])
    spelt = list(b"<search>(a)<end>")
    tool = Spy(lambda query, context: RegexTool(words)(query, context))
    steering = Controls(tools={search: tool}, end=end, failed=258)
    model = Scripted([[*spelt, search, *b"(<e.d>)", end]], vocabulary=259)
    (written,) = generate(model, [spelt], controls=steering, budget=Budget(tokens=len(spelt) + 9 + 5)).written
    assert len(tool.asked) == 1
    assert written.tokens[: len(spelt)] == spelt
    assert written.tokens[-5:] == list(b"<end>")
    assert len(written.calls) == 1


def test_a_tool_cannot_change_the_context():
    def spoil(query, context):
        context[:] = [0] * 99
        return [7]

    written, fed = write([SEARCH, 5, END, ANY, 6, STOP], Spy(spoil))
    assert written.tokens == [SEARCH, 5, END, 7, 6, STOP]
    assert fed == [*PROMPT, *written.tokens[:-1]]


def test_a_search_that_is_never_closed_ends_with_the_tokens_and_says_so():
    written, _ = write([4, SEARCH, *[5] * 100], budget=Budget(tokens=9))
    assert (written.ended, len(written.tokens), written.calls, written.answer) == ("tokens", 9, [], None)
    assert written.because == "the budget of 9 tokens is used up, and a search was never closed"


def test_tokens_of_tools_count_and_long_answers_are_cut():
    written, _ = write([SEARCH, 5, END, ANY], Spy(lambda query, context: [7] * 1000), budget=Budget(tokens=9))
    assert written.tokens == [SEARCH, 5, END, *[7] * 6]
    assert written.because == "the budget of 9 tokens is used up"


def test_an_answer_with_the_last_token_of_the_budget_counts():
    assert write([4, ANSWER, 5], budget=Budget(tokens=3))[0].answer == 5
    assert write([4, ANSWER, 5], budget=Budget(tokens=2))[0].ended == "tokens"


def test_calls_without_end_end_with_the_calls():
    tool = Spy()
    written, _ = write([SEARCH, END, ANY] * 100, tool, budget=Budget(tokens=500, calls=4))
    assert (written.ended, written.because) == ("calls", "the budget of 4 calls is used up")
    assert len(tool.asked) == len(written.calls) == 4
    assert written.tokens == [SEARCH, END, 7] * 4 + [SEARCH, END]


def test_a_budget_without_calls_ends_at_the_first():
    tool = Spy()
    written, _ = write([SEARCH, END, ANY], tool, budget=Budget(calls=0))
    assert (written.because, tool.asked) == ("the budget of 0 calls is used up", [])


def test_time_ends_with_the_seconds():
    tool = Spy(lambda query, context: time.sleep(0.03) or [7])
    before = time.perf_counter()
    written, _ = write([SEARCH, END, ANY] * 100_000, tool, budget=Budget(tokens=10**6, calls=10**6, seconds=0.2))
    assert time.perf_counter() - before < 5
    assert (written.ended, written.because) == ("seconds", "the budget of 0.2 s is used up")
    assert 1 <= len(written.calls) <= 8


def test_a_tool_that_hangs_costs_its_seconds_and_one_search():
    tool = Spy(lambda query, context: time.sleep(1.0) or [7], bounded=False)
    before = time.perf_counter()
    written, _ = write([SEARCH, END, ANY, 4, STOP], tool, budget=Budget(seconds_per_call=0.2))
    assert time.perf_counter() - before < 0.9
    assert written.tokens == [SEARCH, END, FAILED, 4, STOP]
    assert written.calls[0].because == "the tool did not answer within 0.2 s"


def test_stop_and_answer_are_nothing_where_there_are_none():
    written, _ = write([STOP, ANSWER, 4, 5], budget=Budget(tokens=4), answer=None, stop=None)
    assert (written.tokens, written.ended) == ([STOP, ANSWER, 4, 5], "tokens")


def test_the_bits_of_the_searched_text_grow_and_those_of_a_recurrent_state_do_not():
    with seeded(0):
        model = LanguageModel(vocabulary=33, width=8, stack="mingru*2")
    steering = Controls(tools={30: Spy()}, end=31, failed=32)
    few, many = (generate(model, [PROMPT], controls=steering, budget=Budget(tokens=n)) for n in (10, 1000))
    assert few.state_bits == many.state_bits == state_bits(model.initial_state(1))
    assert (few.searched_bits, many.searched_bits) == (6 * 13, 6 * 1003)
    assert generate(model, [PROMPT], controls=Controls(), budget=Budget(tokens=10)).searched_bits == 0


def test_the_state_of_attention_grows():
    with seeded(0):
        model = LanguageModel(vocabulary=33, width=8, stack="mingru+attention")
    few, many = (generate(model, [PROMPT], controls=Controls(), budget=Budget(tokens=n)).state_bits for n in (10, 20))
    assert many - few == 10 * 2 * 8 * 32


def test_draws_are_reproducible_and_differ_by_seed():
    with seeded(0):
        model = LanguageModel(vocabulary=12, width=8)

    def drawn(seed):
        generator = torch.Generator().manual_seed(seed)
        return [
            each.tokens
            for each in generate(
                model,
                [[1, 2], [3]],
                controls=Controls(),
                budget=Budget(tokens=30),
                temperature=1.0,
                generator=generator,
            ).written
        ]

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)


def test_a_small_temperature_draws_what_is_likeliest():
    with seeded(0):
        model = LanguageModel(vocabulary=12, width=8)
    settings = {"controls": Controls(), "budget": Budget(tokens=10)}
    generator = torch.Generator().manual_seed(0)
    cold = generate(model, [[1, 2]], temperature=1e-6, generator=generator, **settings)
    assert cold.written[0].tokens == generate(model, [[1, 2]], **settings).written[0].tokens


@pytest.mark.parametrize(
    "prompts",
    [
        [],
        [[]],
        [[1], []],
        torch.zeros(0, 3, dtype=torch.int64),
        torch.zeros(2, 0, dtype=torch.int64),
        torch.tensor([1, 2]),
    ],
)
def test_empty_prompts_are_refused(prompts):
    said = "^search.generate: a prompt is empty; there must be at least one, of at least one token each$"
    with pytest.raises(UsageError, match=said):
        generate(Scripted([[]]), prompts, controls=Controls())


@pytest.mark.parametrize(("temperature", "generator"), [(-1.0, torch.Generator()), (math.nan, None), (0.5, None)])
def test_temperatures_that_cannot_be_drawn_at_are_refused(temperature, generator):
    with pytest.raises(UsageError, match=f"^search.generate: temperature is {temperature} and generator is "):
        generate(Scripted([[]]), [PROMPT], controls=Controls(), temperature=temperature, generator=generator)


@pytest.mark.parametrize(
    "named", [{"tokens": 0}, {"calls": -1}, {"seconds": 0}, {"seconds": math.nan}, {"seconds_per_call": -1}]
)
def test_budgets_for_nothing_are_refused(named):
    with pytest.raises(UsageError, match=r"^search: the budget is Budget\(.*\); it needs at least one token, no fewer"):
        Budget(**named)


@pytest.mark.parametrize(
    "named",
    [
        {"end": SEARCH},
        {"failed": SEARCH},
        {"failed": END},
        {"end": -1},
        {"failed": -1},
        {"tools": {-2: Spy()}},
        {"answer": END},
        {"stop": SEARCH},
    ],
)
def test_controls_that_are_not_different_ids_are_refused(named):
    with pytest.raises(
        UsageError, match=r"^search: tools open with \[-?\d+\], end is -?\d+, failed is -?\d+, answer is .*; these must"
    ):
        controls(**named)


@pytest.mark.parametrize("stray", [-1, 16, 99])
def test_prompts_with_ids_that_the_model_lacks_are_refused(stray):
    said = f"^search.generate: prompt 1 holds the id {stray}; the model's ids are from 0 to 15$"
    with pytest.raises(UsageError, match=said):
        generate(Scripted([[]]), [PROMPT, [1, stray, 15]], controls=Controls())


def test_a_mark_of_failure_that_the_model_lacks_is_refused():
    said = "^search.generate: failed is 16, and the model's ids are below 16$"
    with pytest.raises(UsageError, match=said):
        generate(Scripted([[]]), [PROMPT], controls=controls(failed=16))


def test_a_sequence_that_outgrows_learned_positions_ends_alone():
    model = LanguageModel(vocabulary=16, width=8, stack="attention", positions="learned", max_length=12).eval()
    made = generate(model, [[1] * 10, [1] * 3], controls=Controls(), budget=Budget(tokens=6))
    long, short = made.written
    assert (long.ended, long.because) == ("tokens", "the model has learned positions for 12 tokens")
    assert (len(long.tokens), len(short.tokens)) == (3, 6)
    assert short.tokens == generate(model, [[1] * 3], controls=Controls(), budget=Budget(tokens=6)).written[0].tokens
