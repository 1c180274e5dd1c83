"""Nearest neighbour by attention: every input that is short, and long ones in which all is decided by ties."""

import pytest
import torch

from statewise.constructions.construction import solved
from statewise.constructions.nearest_neighbour import attention
from statewise.core import UsageError
from statewise.models import load_model, save_model


def ties(task, size, count):
    """Inputs whose points are one bit from the query: the last one or, in every second input, the one before too."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for row in range(count):
        query = torch.randint(0, 2, (task.bits,), generator=generator)
        one, other = query.clone(), query.clone()
        one[-1], other[-2] = 1 - one[-1], 1 - other[-2]
        chosen = torch.randint(0, 2, (size, 1), generator=generator) * (row % 2)
        labels = 2 + torch.randint(0, task.labels, (size, 1), generator=generator)
        shown = torch.cat([torch.where(chosen == 1, one, other), labels], 1)
        rows.append(torch.cat([shown.flatten(), query]))
    return solved(task, torch.stack(rows))


def mistakes(construction, batch):
    with torch.no_grad():
        wrong = (construction.answers(batch.tokens) != batch.targets) & batch.scored
    return int(wrong.any(1).sum())


@pytest.mark.parametrize(
    ("size", "settings"),
    [
        (4, {"bits": 1, "queries": 2}),
        (3, {"bits": 2}),
        (2, {"bits": 3}),
        (2, {"bits": 2, "queries": 2, "labels": 3}),
        (2, {"bits": 1, "labels": 17}),
        (1, {"bits": 5}),
    ],
)
def test_every_input_of_every_size_is_answered(size, settings):
    construction = attention(size, **settings)
    for smaller in range(1, size + 1):
        verification = construction.verify(smaller)
        assert verification.exhaustive
        assert verification.exact, verification.first


def test_many_points_and_queries_are_told_apart():
    verification = attention(100, queries=4, labels=5).verify(examples=32)
    assert verification.exact, verification.first


def test_the_largest_size_in_float32_breaks_every_tie():
    construction = attention(34, bits=13)
    assert (15 * 34 * 2**13, construction.precision) == (4177920, torch.float32)
    assert attention(35, bits=13).precision == torch.float64
    assert mistakes(construction, ties(construction.task, 34, 8)) == 0


def test_float64_breaks_ties_that_float32_cannot():
    construction = attention(8, bits=20)
    batch = ties(construction.task, 8, 16)
    assert construction.precision == torch.float64
    assert mistakes(construction, batch) == 0
    construction.model.float()
    assert mistakes(construction, batch) > 0


def test_step_by_step_and_saved_it_says_the_same(tmp_path):
    construction = attention(6)
    save_model(construction.model, tmp_path / "model.safetensors")
    model = load_model(tmp_path / "model.safetensors")
    batch = ties(construction.task, 6, 32)
    state, answers = model.initial_state(32), []
    with torch.no_grad():
        for token in batch.tokens.unbind(1):
            logits, state = model.step(token, state)
            answers.append(logits.argmax(-1))
    assert torch.equal(torch.stack(answers, 1)[batch.scored], batch.targets[batch.scored])


def test_the_width_does_not_grow_with_the_size():
    assert [attention(size).model.config.width for size in (1, 10, 500)] == [72, 72, 72]
    assert len(attention(4).model.blocks) == 2


def test_without_one_of_the_heads_a_bit_is_missed():
    construction = attention(2, bits=3)
    assert construction.verify().exact
    first = construction.model.blocks[0].mixer
    with torch.no_grad():
        first.output.weight[:, 2 * first.head_size : 3 * first.head_size] = 0
    assert construction.verify().mistakes > 0


@pytest.mark.parametrize(("piece", "factor"), [("cosine", 0.0), ("block", 0.0), ("bit", 0.0)])
def test_each_part_of_the_codes_is_needed(piece, factor):
    construction = attention(3, bits=2)
    assert construction.verify().exact
    column = {"bit": 3, "cosine": 4, "block": 6}[piece]
    with torch.no_grad():
        table = construction.model.embedding if piece == "bit" else construction.model.places
        table.weight[:, column] *= factor
    assert construction.verify().mistakes > 0


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (0, {}, "nearest-neighbour/attention: size is 0; it must be at least 1"),
        (
            482,
            {"bits": 32},
            r"nearest-neighbour/attention: size is 482; it must be in \[1, 481\]: float64 does not tell",
        ),
        (4, {"bits": 33}, "nearest-neighbour: bits is 33"),
        (4, {"labels": 1}, "nearest-neighbour: labels is 1"),
    ],
)
def test_what_cannot_be_built_is_refused(size, settings, message):
    with pytest.raises(UsageError, match=message):
        attention(size, **settings)
