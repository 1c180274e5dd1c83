"""Models that search: every trace is the solver's, and left alone with the tool they get every answer."""

from dataclasses import replace

import pytest
import torch

from statewise.constructions import searching, searching_trees
from statewise.constructions.searching_model import searching_model
from statewise.constructions.searching_table import Flag
from statewise.core import UsageError
from statewise.core.state import state_bits
from statewise.search import Retrieval, generate
from statewise.search.free_running import run_freely
from statewise.tasks import CGramRetrieval, Counting, IndexLookup, IsTree

SMALL = [
    (searching.index_lookup, 4, {"alphabet": 3}),
    (searching.index_lookup, 2, {}),
    (searching.associative_recall, 3, {"keys": 3, "values": 2}),
    (searching.associative_recall, 1, {"keys": 1, "values": 5}),
    (searching.c_gram, 4, {"alphabet": 3}),
    (searching.c_gram, 5, {"alphabet": 2, "gram": 3}),
    (searching.c_gram, 6, {"alphabet": 2, "gram": 5}),
    (searching.counting, 4, {"alphabet": 3}),
    (searching.counting, 4, {"alphabet": 2, "threshold": 1}),
    (searching.counting, 3, {"alphabet": 2, "threshold": 7}),
    (searching_trees.search, 4, {}),
]
LARGE = [
    (searching.index_lookup, 1001, {}),
    (searching.index_lookup, 100, {"alphabet": 500}),
    (searching.associative_recall, 300, {"keys": 400, "values": 2}),
    (searching.c_gram, 500, {"alphabet": 100}),
    (searching.c_gram, 200, {"alphabet": 4, "gram": 4}),
    (searching.counting, 1000, {}),
    (searching.counting, 300, {"alphabet": 9, "threshold": 33}),
    (searching_trees.search, 24, {}),
    (searching_trees.search, 12, {"names": 40}),
]


@pytest.mark.parametrize(("built", "size", "settings"), SMALL)
def test_every_input_of_every_size_is_traced_rightly(built, size, settings):
    construction = built(size, **settings)
    for smaller in range(construction.sizes[0], size + 1):
        verification = construction.verify(smaller)
        assert verification.exhaustive
        assert verification.exact, verification.first


@pytest.mark.parametrize(("built", "size", "settings"), LARGE)
def test_large_sizes_are_traced_rightly(built, size, settings):
    verification = built(size, **settings).verify(examples=24)
    assert verification.exact, verification.first


@pytest.mark.parametrize(("built", "size", "settings"), SMALL + LARGE)
def test_left_alone_with_the_tool_it_gets_every_answer(built, size, settings):
    construction = built(size, **settings)
    ran = run_freely(construction.model, construction.task, split="test", size=size, examples=16, seed=5)
    assert (ran.accuracy, ran.unanswered) == (1, 0)
    assert ran.state_bits == state_bits(construction.model.initial_state(1))
    assert ran.calls >= 1


@pytest.mark.parametrize("built", [searching.index_lookup, searching.counting, searching_trees.search])
def test_left_alone_it_writes_what_the_solver_writes(built):
    construction = built(9)
    task = construction.task
    prompts = task.prompts(task.task.examples("test", seed=2, start=0, count=16, size=9), 9)
    made = generate(construction.model, prompts, controls=task.controls(9)).written
    pages = [task.page(prompt, 9) for prompt in prompts.tolist()]
    assert [each.tokens for each in made] == [page.tokens[prompts.shape[1] :] for page in pages]
    assert [each.own for each in made] == [page.own[prompts.shape[1] :] for page in pages]


@pytest.mark.parametrize(
    ("built", "digits", "besides", "carried"),
    [
        (searching.index_lookup, 3, 7, 1),
        (searching.associative_recall, 3, 7, 1),
        (searching.c_gram, 4, 8, 3),
        (searching.counting, 3, 12, 1),
        (searching_trees.search, 7, 30, 5),
    ],
)
def test_of_larger_sizes_only_the_digits_of_codes_grow(built, digits, besides, carried):
    for size in (8, 60):
        construction = built(size)
        bits = (construction.task.vocabulary(size) - 1).bit_length()
        width = digits * bits + besides
        assert construction.model.config.width == width
        units = 1 if built is searching_trees.search else 0
        assert state_bits(construction.model.initial_state(1)) == 32 * (carried * width + units)


def test_a_search_takes_fewer_bits_than_are_required_without():
    assert searching.index_lookup(1000).claim == (
        "one minGRU layer of 37 channels, 3·⌈log2 1,023⌉ for codes of tokens and 7 besides: 1,184 bits of state, "
        "0.30 times the 4,000.0 that are required without a search"
    )


def test_where_no_bits_are_required_none_are_said_to_be():
    assert searching.counting(3, alphabet=2, threshold=7).claim.endswith(": 864 bits of state, where none are required")


TABLES = {
    "index-lookup": (Retrieval(IndexLookup(alphabet=3)), 5),
    "c-gram-retrieval": (Retrieval(CGramRetrieval(alphabet=4, gram=4)), 9),
    "counting": (Retrieval(Counting(alphabet=3)), 6),
    "is-tree": (Retrieval(IsTree()), 5),
}


def table_of(name):
    task, size = TABLES[name]
    first = searching.first_of(task, size)
    match name:
        case "index-lookup":
            return searching.one_token(
                task, size, asked=range(first + 3, first + 3 + size), found=range(first, first + 3)
            )
        case "c-gram-retrieval":
            return searching.some_symbols(task, size, gram=4)
        case "counting":
            return searching.symbol_and_threshold(task, size, alphabet=3)
    return searching_trees.walk(task, size, named=False)


@pytest.fixture(scope="module")
def examples():
    return {name: task.examples("test", seed=0, start=0, count=60, size=size) for name, (task, size) in TABLES.items()}


@torch.no_grad()
def mistakes(table, batch):
    answers = searching_model(table)(batch.tokens)[0].argmax(-1)
    return int(((answers != batch.targets) & batch.scored).any(1).sum())


@pytest.mark.parametrize("name", TABLES)
def test_every_rule_is_needed(examples, name):
    table = table_of(name)
    assert mistakes(table, examples[name]) == 0
    for number, rule in enumerate(table.rules):
        others = table.rules[:number] + table.rules[number + 1 :]
        assert mistakes(replace(table, rules=others), examples[name]) > 0, rule


@pytest.mark.parametrize("name", TABLES)
def test_every_flag_and_every_register_is_needed(examples, name):
    table = table_of(name)
    never = "search answer"
    for kept in table.flags:
        flags = {**table.flags, kept: Flag(never, "search")}
        assert mistakes(replace(table, flags=flags), examples[name]) > 0, kept
    for kept, register in table.registers.items():
        registers = {**table.registers, kept: register._replace(when=never)}
        assert mistakes(replace(table, registers=registers), examples[name]) > 0, kept


@pytest.mark.parametrize("count", ["- !search@2", "v ~@1"])
def test_a_graph_in_two_parts_is_seen_by_counting_alone(examples, count):
    table = table_of("is-tree")
    counts = {when: step for when, step in table.counts.items() if when != count}
    assert mistakes(replace(table, counts=counts), examples["is-tree"]) > 0


@pytest.mark.parametrize(
    ("built", "size", "settings", "message"),
    [
        (searching.index_lookup, 1002, {}, "index-lookup: queries is 1 and size is 1002; step by step there is one"),
        (searching.index_lookup, 4, {"alphabet": 1}, "index-lookup: alphabet is 1 and queries is 1"),
        (searching.associative_recall, 65, {}, "associative-recall: size is 65; it must be at most keys"),
        (searching.c_gram, 2, {"gram": 3}, "c-gram-retrieval: size is 2; it must be an integer of at least 3"),
        (searching.counting, 1001, {}, "counting: there are 1001 thresholds; step by step there may be at most 1000"),
        (searching_trees.search, 3, {}, "is-tree: size is 3"),
        (searching_trees.search, 9, {"names": 8}, "is-tree: size is 9"),
    ],
)
def test_what_cannot_be_built_is_refused(built, size, settings, message):
    with pytest.raises(UsageError, match=message):
        built(size, **settings)
