"""IsTree by merging: what the solver writes, and the hybrid that writes the same."""

from dataclasses import replace

import pytest
import torch

from statewise.constructions import merging_trees
from statewise.constructions.construction import solved
from statewise.constructions.heads import layer
from statewise.constructions.ledger_model import ledger_model, recurrent_bits
from statewise.constructions.merging_trace import Merging
from statewise.constructions.searching_table import Flag
from statewise.core import UsageError
from statewise.search import generate
from statewise.search.free_running import run_freely
from statewise.tasks import IsTree


def pages(size, tokens, names=None):
    """The solver's pages for inputs of IsTree, prompts left out."""
    task = Merging(IsTree(names=names))
    first = task.trace(size).notation.first
    return [task.page((row + first).tolist(), size).tokens[len(row) :] for row in tokens]


@pytest.mark.parametrize("size", [4, 5])
def test_the_solver_is_right_about_every_graph(size):
    tokens = torch.stack(list(IsTree().inputs(size)))
    answers = solved(IsTree(), tokens).targets[:, -1].tolist()
    first = Merging(IsTree()).trace(size).notation.first
    assert [page[-1] - first for page in pages(size, tokens)] == answers


@pytest.mark.parametrize(("size", "names"), [(12, None), (64, None), (12, 40)])
def test_the_solver_is_right_about_large_graphs(size, names):
    task = IsTree(names=names)
    batch = task.examples("test", seed=1, start=0, count=100, size=size)
    first = Merging(task).trace(size).notation.first
    assert [page[-1] - first for page in pages(size, batch.tokens, names)] == batch.targets[:, -1].tolist()


def two_stars(size, *, link, order):
    """A prompt of IsTree whose centres are the last two vertices, first in their edges: joins grow chains of roots."""
    edges = [(vertex, size - 1 if vertex < size // 2 else size - 2) for vertex in range(size - 2)] + [link]
    tokens = [2, *(token for edge in order for token in (5 + max(edges[edge]), 3, 5 + min(edges[edge]))), 4]
    return torch.tensor([tokens])


def test_no_trace_is_longer_than_is_claimed():
    worst = 0.0
    for size in (4, 5):
        worst = max(worst, *(len(page) / size for page in pages(size, torch.stack(list(IsTree().inputs(size))))))
    size, last = 60, 58
    for link in ((0, 40), (0, 29), (28, 57)):
        for order in (range(last), range(last - 1, -1, -1), [last, *range(last)], range(0, last, 2)):
            left = [edge for edge in range(size - 1) if edge not in order]
            (page,) = pages(size, two_stars(size, link=link, order=[*order, *left]))
            worst = max(worst, len(page) / size)
    assert 12 < worst <= 35


@pytest.mark.parametrize("size", [4, 5])
def test_every_token_of_every_trace_is_written(size):
    construction = merging_trees.hybrid(5)
    verification = construction.verify(size)
    assert verification.exhaustive
    assert verification.exact, verification.first


@pytest.mark.parametrize(("size", "names"), [(40, None), (12, 40)])
def test_large_graphs_are_traced_rightly(size, names):
    construction = merging_trees.hybrid(size, names=names)
    for asked in (size // 2, size):
        verification = construction.verify(asked, examples=6)
        assert verification.exact, verification.first


@pytest.mark.parametrize(("size", "names"), [(9, None), (24, 30)])
def test_left_alone_it_writes_what_the_solver_writes(size, names):
    construction = merging_trees.hybrid(size, names=names)
    task = construction.task
    prompts = task.prompts(task.task.examples("test", seed=2, start=0, count=8, size=size), size)
    made = generate(construction.model, prompts, controls=task.controls(size)).written
    assert [each.tokens for each in made] == [
        task.page(prompt, size).tokens[prompts.shape[1] :] for prompt in prompts.tolist()
    ]
    ran = run_freely(construction.model, task, split="test", size=size, examples=8, seed=3)
    assert (ran.accuracy, ran.unanswered, ran.calls) == (1, 0, 0)


def test_it_is_two_recurrent_layers_under_one_of_attention_and_no_state_of_theirs_grows():
    small, large = merging_trees.hybrid(8), merging_trees.hybrid(60)
    assert large.model.config.layers == ("mingru", "gated-lru", "attention")
    assert large.model.config.positions == "none"
    # From 22 to 74 ids a code has two digits more.
    assert recurrent_bits(large.model) < 1.5 * recurrent_bits(small.model)
    assert f"{recurrent_bits(large.model):,} bits of state" in large.claim


SIZE = 8
"""Large enough for chains of three vertices, where a parent and a grandparent differ."""


def table():
    return merging_trees.merging(Merging(IsTree()), SIZE)


@pytest.fixture(scope="module")
def examples():
    return Merging(IsTree()).examples("test", seed=0, start=0, count=12, size=SIZE)


@torch.no_grad()
def mistakes(ledger, batch):
    answers = ledger_model(ledger, prompt=23, length=batch.tokens.shape[1])[0](batch.tokens)[0].argmax(-1)
    return int(((answers != batch.targets) & batch.scored).any(1).sum())


def test_every_rule_record_asking_and_fetching_is_needed(examples):
    assert mistakes(table(), examples) == 0
    for part in ("rules", "records", "asked", "fetched"):
        held = getattr(table(), part)
        for number, each in enumerate(held):
            others = held[:number] + held[number + 1 :]
            assert mistakes(replace(table(), **{part: others}), examples) > 0, each


def test_every_flag_register_and_counter_is_needed(examples):
    held, never = table(), "begin answer"
    for name, register in held.registers.items():
        registers = {**held.registers, name: register._replace(when=never)}
        assert mistakes(replace(held, registers=registers), examples) > 0, name
    for name in held.flags:
        assert mistakes(replace(held, flags={**held.flags, name: Flag(never, "begin")}), examples) > 0, name
    for counts in ("counts", "places"):
        for when in getattr(held, counts):
            fewer = {each: step for each, step in getattr(held, counts).items() if each != when}
            assert mistakes(replace(held, **{counts: fewer}), examples) > 0, when


@pytest.mark.parametrize("part", ["first head", "second head", "square", "latest"])
@torch.no_grad()
def test_without_what_attention_looks_up_it_fails(part, examples):
    construction = merging_trees.hybrid(SIZE)
    assert construction.verify(examples=24).exact
    attention, gated = layer(construction.model, 2).mixer, layer(construction.model, 1).mixer
    match part:
        case "first head":
            attention.output.weight[:, : attention.head_size] = 0
        case "second head":
            attention.output.weight[:, attention.head_size : 2 * attention.head_size] = 0
        case "square":
            gated.output.weight[:, 2] = 0
        case "latest":
            digits = construction.task.vocabulary(SIZE).bit_length()
            attention.query_key_value.bias[digits] = 0
    assert construction.verify(examples=24).mistakes > 0


def test_beyond_the_prompts_of_float32_it_is_built_in_float64():
    ledger = table()
    assert ledger_model(ledger, prompt=23, length=200)[1] == torch.float32
    assert ledger_model(ledger, prompt=2897, length=3000)[1] == torch.float64
    assert ledger_model(ledger, prompt=23, length=40_000)[1] == torch.float64


@pytest.mark.parametrize(
    ("size", "settings", "message"), [(3, {}, "is-tree: size is 3"), (9, {"names": 8}, "size is 9")]
)
def test_what_cannot_be_built_is_refused(size, settings, message):
    with pytest.raises(UsageError, match=message):
        merging_trees.hybrid(size, **settings)
