"""Sequences of a batch: each writes what it writes alone, whatever the others do, and when."""

import time

import pytest

from search.scripted import ANSWER, ANY, END, FAILED, SEARCH, STOP, Scripted, Spy, controls
from statewise.core.errors import SearchError
from statewise.core.random import seeded
from statewise.models import LanguageModel
from statewise.search import Budget, Controls, PreviousTool, generate

PROMPTS = [[1, 2, 3], [4], [5, 6], [1, 2, 3, 4, 5, 6, 7]]
SCRIPTS = [
    [SEARCH, 3, END, ANY, ANY, ANSWER, 1],
    [9, 9, 9, SEARCH, 4, END, ANY, ANY, SEARCH, END, ANY, ANY, STOP],
    [STOP],
    [9, SEARCH, *[5] * 30],
]


def echo(query, context):
    """How much was read, and asked: as many tokens as there are sequences that differ in it."""
    return [len(context) % 10, len(query)]


def together(scripts, prompts, tool, budget):
    return generate(Scripted(scripts), prompts, controls=controls(tool), budget=budget).written


def test_sequences_that_search_at_different_steps_write_what_each_writes_alone():
    budget = Budget(tokens=25)
    for row, written in enumerate(together(SCRIPTS, PROMPTS, Spy(echo), budget)):
        (alone,) = together([SCRIPTS[row]], [PROMPTS[row]], Spy(echo), budget)
        assert written == alone
    assert [each.ended for each in together(SCRIPTS, PROMPTS, Spy(echo), budget)] == [
        "answered",
        "stopped",
        "stopped",
        "tokens",
    ]


def test_every_sequence_is_read_as_it_is_written():
    model = Scripted(SCRIPTS)
    made = generate(model, PROMPTS, controls=controls(Spy(echo)), budget=Budget(tokens=25))
    for row, written in enumerate(made.written):
        padding = max(map(len, PROMPTS)) - len(PROMPTS[row])
        read = [*PROMPTS[row], *written.tokens[:-1]]
        assert model.fed[row][padding : padding + len(read)] == read
        assert not any(model.fed[row][:padding])


def test_sequences_that_have_ended_are_dropped_and_the_rest_goes_on():
    scripts = [[*[9] * steps, STOP] for steps in (1, 9, 2, 3)]
    model = Scripted(scripts)
    written = generate(model, PROMPTS, controls=controls(), budget=Budget(tokens=40)).written
    assert [each.tokens for each in written] == scripts
    assert model.batches == [4, 3, 2, *[1] * 6]


@pytest.mark.parametrize(
    ("fault", "bounded"),
    [
        (lambda: 1 / 0, True),
        (lambda: 1 / 0, False),
        (lambda: [99], True),
        (lambda: None, True),
        (lambda: time.sleep(0.5), False),
    ],
)
def test_one_bad_sequence_leaves_the_others_as_they_are(fault, bounded):
    """The tool is sound unless it is asked for 0."""

    def answer(query, context):
        return fault() if 0 in query else echo(query, context)

    scripts = [*SCRIPTS, [9, SEARCH, 0, END, ANY, 8, STOP]]
    prompts = [*PROMPTS, [1, 1]]
    budget = Budget(tokens=25, seconds_per_call=0.3)
    *others, bad = together(scripts, prompts, Spy(answer, bounded), budget)
    assert others == list(together(SCRIPTS, PROMPTS, Spy(echo, bounded), budget))
    assert bad.tokens == [9, SEARCH, 0, END, FAILED, 8, STOP]
    assert bad.calls[0].failed


def build(stack, positions, seed):
    """A model that was never trained, with weights so large that it seldom repeats itself."""
    settings = {"positions": positions, "max_length": 64 if positions == "learned" else None}
    with seeded(seed):
        model = LanguageModel(vocabulary=8, width=12, stack=stack, feed_forward=2, **settings).double()
        for each in model.parameters():
            each.data *= 4
    return model


READ = [[1, 2, 3], [4], [5, 6, 7, 0, 1], [2, 2], [7, 6, 5, 4, 3, 2, 1, 0, 3], [1, 2, 4]]


def sometimes(query, context):
    if len(context) % 3 == 0:
        raise SearchError("every third")
    return [len(context) % 8] * (1 + len(query) % 3)


@pytest.mark.parametrize(
    ("stack", "positions", "seed"),
    [
        ("mingru*2", "none", 31),
        ("attention*2", "rope", 28),
        ("attention*2", "learned", 53),
        ("mingru+attention", "none", 45),
        ("mingru+attention", "rope", 48),
    ],
)
def test_models_write_for_left_padded_prompts_what_each_gives_alone(stack, positions, seed):
    model = build(stack, positions, seed)
    steering = Controls(tools={1: PreviousTool(), 2: Spy(sometimes), 4: Spy(sometimes)}, end=3, failed=0, stop=6)

    def made(prompts):
        return list(generate(model, prompts, controls=steering, budget=Budget(tokens=40)).written)

    written = made(READ)
    assert written == [made([prompt])[0] for prompt in READ]
    first_calls = {each.calls[0].place - len(prompt) for prompt, each in zip(READ, written, strict=True) if each.calls}
    assert len(first_calls) > 1
    assert {made.failed for each in written for made in each.calls} == {True, False}


def test_a_sequence_that_has_ended_uses_no_places_of_its_model():
    """The first prompt leaves two of the learned places; its sequence ends at once, and the others go on."""
    model = build("attention", "learned", 3)
    prompts = [[1, 2] * 31, [3], [4]]
    (first,) = generate(model, prompts[:1], controls=Controls(), budget=Budget(tokens=1)).written[0].tokens
    steering, budget = Controls(stop=first), Budget(tokens=20)
    others = generate(model, prompts[1:], controls=steering, budget=budget).written
    assert min(len(each.tokens) for each in others) > 4
    written = generate(model, prompts, controls=steering, budget=budget).written
    assert written[0].tokens == [first]
    assert written[1:] == others


def test_bits_are_those_of_the_longest_sequence():
    model = build("mingru", "none", 0)
    made = generate(
        model, [[1] * 10, [2]], controls=Controls(tools={7: Spy()}, end=6, failed=5), budget=Budget(tokens=3)
    )
    assert made.searched_bits == 3 * 13
