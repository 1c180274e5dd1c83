"""One recurrent layer of a size that never grows, under one layer of attention."""

import math
from dataclasses import replace

import pytest
import torch

from statewise.constructions import (
    associative_recall_hybrid,
    c_gram_hybrid,
    counting_hybrid,
    index_lookup_hybrid,
)
from statewise.constructions.directions import Directions
from statewise.constructions.gadgets import STEP
from statewise.constructions.heads import layer
from statewise.constructions.hybrid import hybrid_model
from statewise.constructions.index_lookup_hybrid import EXACT_LENGTH, SHARPNESS
from statewise.core import UsageError, state_bits
from statewise.models import load_model, save_model

HYBRIDS = {
    "index-lookup": index_lookup_hybrid.hybrid,
    "associative-recall": associative_recall_hybrid.hybrid,
    "c-gram-retrieval": c_gram_hybrid.hybrid,
    "counting": counting_hybrid.hybrid,
}

SMALL = [
    ("index-lookup", 4, {"alphabet": 3}),
    ("index-lookup", 2, {"alphabet": 5, "queries": 3}),
    ("index-lookup", 2, {"alphabet": 17}),
    ("index-lookup", 1, {}),
    ("associative-recall", 3, {"keys": 3, "values": 3}),
    ("associative-recall", 4, {"keys": 4, "values": 2}),
    ("associative-recall", 1, {"keys": 1, "values": 2}),
    ("c-gram-retrieval", 8, {"alphabet": 2, "gram": 2}),
    ("c-gram-retrieval", 8, {"alphabet": 2, "gram": 3}),
    ("c-gram-retrieval", 7, {"alphabet": 2, "gram": 5}),
    ("c-gram-retrieval", 5, {"alphabet": 3, "gram": 3}),
    ("c-gram-retrieval", 4, {"alphabet": 5, "gram": 2}),
    ("c-gram-retrieval", 2, {"alphabet": 2, "gram": 2}),
    ("counting", 7, {"alphabet": 2}),
    ("counting", 5, {"alphabet": 3}),
    ("counting", 6, {"alphabet": 2, "threshold": 0}),
    ("counting", 4, {"alphabet": 2, "threshold": 100}),
]


@pytest.mark.parametrize(("task", "size", "settings"), SMALL)
def test_every_input_of_every_size_is_answered(task, size, settings):
    construction = HYBRIDS[task](size, **settings)
    assert construction.task.name == task
    assert construction.sizes == (settings.get("gram", 1), size)
    for smaller in range(construction.sizes[0], size + 1):
        verification = construction.verify(smaller)
        assert verification.exhaustive
        assert verification.exact, verification.first


@pytest.mark.parametrize(
    ("task", "size", "settings", "precision"),
    [
        ("index-lookup", 1500, {}, torch.float32),
        ("index-lookup", 1500, {"alphabet": 1000, "queries": 5}, torch.float32),
        ("index-lookup", 4096, {}, torch.float64),
        ("associative-recall", 600, {"keys": 700, "values": 200}, torch.float32),
        ("c-gram-retrieval", 1000, {}, torch.float32),
        ("c-gram-retrieval", 1000, {"alphabet": 2, "gram": 8}, torch.float32),
        ("c-gram-retrieval", 2000, {"alphabet": 256, "gram": 5}, torch.float64),
        ("counting", 1000, {}, torch.float32),
        ("counting", 600, {"alphabet": 1024}, torch.float32),
        ("counting", 1600, {}, torch.float64),
    ],
)
def test_long_strings_are_answered(task, size, settings, precision):
    construction = HYBRIDS[task](size, **settings)
    assert construction.precision == precision
    assert {parameter.dtype for parameter in construction.model.parameters()} == {precision}
    for asked in (size // 3, size):
        verification = construction.verify(asked, examples=3)
        assert verification.exact, verification.first


def test_at_the_largest_length_of_float32_every_place_is_told_from_those_beside_it():
    construction = index_lookup_hybrid.hybrid(EXACT_LENGTH - 1, alphabet=2)
    assert construction.precision == torch.float32
    assert index_lookup_hybrid.hybrid(EXACT_LENGTH, alphabet=2).precision == torch.float64
    places = [0, 1, 2000, EXACT_LENGTH - 3, EXACT_LENGTH - 2]
    tokens = torch.zeros(2 * len(places), EXACT_LENGTH, dtype=torch.int64)
    for row, place in enumerate(places):
        tokens[row, place] = 1
        tokens[[row, row + len(places)], -1] = 2 + place
    tokens[len(places) :, :-1] = 1 - tokens[: len(places), :-1]
    with torch.no_grad():
        assert construction.answers(tokens)[:, -1].tolist() == [1] * len(places) + [0] * len(places)


@pytest.mark.parametrize("task", HYBRIDS)
def test_it_is_one_recurrent_layer_and_one_attention_layer_without_positions(task):
    config = HYBRIDS[task](12).model.config
    assert (config.layers, config.positions, config.max_length) == (("gated-lru", "attention"), "none", None)


@pytest.mark.parametrize(
    ("task", "settings", "width", "numbers"),
    [
        ("index-lookup", {"alphabet": 16}, 8, 1),
        ("associative-recall", {"keys": 900, "values": 16}, 2 * 10 + 2, 12 + 22),
        ("c-gram-retrieval", {"alphabet": 16}, 2 * 4 + 2, 6 + 10),
        ("c-gram-retrieval", {"alphabet": 16, "gram": 3}, 3 * 4 + 2, 10 + 2 * 14),
        ("counting", {"alphabet": 4}, 2 * 2 + 3, 2 + 7),
    ],
)
def test_neither_the_width_nor_the_recurrent_state_grows_with_the_size(task, settings, width, numbers):
    for size in (3, 30, 900):
        construction = HYBRIDS[task](size, **settings)
        assert construction.model.config.width == width
        assert state_bits(layer(construction.model, 0).initial_state(1)) == 32 * numbers
        counted = f"{numbers} number{'' if numbers == 1 else 's'} of state at every size, {32 * numbers:,} bits here"
        assert counted in construction.claim


@pytest.mark.parametrize("task", HYBRIDS)
def test_token_by_token_it_says_the_same(task):
    construction = HYBRIDS[task](9)
    batch = construction.task.examples("train", seed=0, start=0, count=8, size=9)
    state, logits = construction.model.initial_state(8), torch.empty(0)
    with torch.no_grad():
        for t in range(batch.tokens.shape[1]):
            logits, state = construction.model.step(batch.tokens[:, t], state)
    assert torch.equal(logits.argmax(-1), batch.targets[:, -1])


@pytest.mark.parametrize("task", HYBRIDS)
def test_two_inputs_in_one_row_do_not_meet(task):
    construction = HYBRIDS[task](9)
    batch = construction.task.examples("train", seed=0, start=0, count=2, size=9)
    length = batch.tokens.shape[1]
    reset = (torch.arange(2 * length) % length == 0)[None]
    with torch.no_grad():
        answers = construction.model(batch.tokens.reshape(1, -1), reset=reset)[0].argmax(-1)
    assert answers.view(2, length)[:, -1].tolist() == batch.targets[:, -1].tolist()


@pytest.mark.parametrize("task", HYBRIDS)
def test_it_is_saved_and_loaded_like_any_model(task, tmp_path):
    construction = HYBRIDS[task](9)
    save_model(construction.model, tmp_path / "model.safetensors")
    loaded = replace(construction, model=load_model(tmp_path / "model.safetensors").eval())
    assert loaded.verify(examples=32).exact


def test_the_recurrent_layer_shifts_and_counts_to_the_last_bit():
    at = Directions(first=2, second=2, there=1, place=1, square=1)
    back = {"first": 1, "second": 3, "there": 3}
    length = 3000
    model = hybrid_model(7, at, back=back, places=["place", "square"])
    own = torch.tensor([[-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])[torch.arange(length) % 3]
    x = torch.cat([own, -own, torch.ones(length, 1), torch.zeros(length, 2)], 1)
    with torch.no_grad():
        y = layer(model, 0)(x[None], layer(model, 0).initial_state(1))[0][0]
    count = torch.arange(1, length + 1)
    for name, steps in back.items():
        shifted = x[:, at[name]].roll(steps, 0)
        shifted[:steps] = 0
        assert torch.equal(y[:, at[name]], shifted)
    assert torch.equal(y[:, at["place"]][:, 0].long(), count)
    assert torch.equal(y[:, at["square"]][:, 0].long(), count**2)


def test_the_answers_are_as_sure_as_the_proofs_say():
    index = index_lookup_hybrid.hybrid(9, alphabet=2)
    others = 2 * sum(math.exp(-SHARPNESS * distance**2) for distance in range(1, 9))
    assert others < 0.04
    with torch.no_grad():
        x = index.model.embedding(torch.tensor([[0, 0, 0, 0, 1, 0, 0, 0, 0, 2 + 4]]))
        x = layer(index.model, 0)(x, layer(index.model, 0).initial_state(1))[0]
        read = layer(index.model, 1)(x, layer(index.model, 1).initial_state(1))[0][0, -1, 0]
    assert 1 - 2 * others < float(read) < 1
    assert math.exp(-STEP) / (1 - math.exp(-STEP)) < 0.05


BROKEN = [
    ("index-lookup", {"alphabet": 2}, "decay"),
    ("index-lookup", {"alphabet": 2}, "square"),
    ("associative-recall", {"keys": 9}, "before"),
    ("c-gram-retrieval", {"alphabet": 2}, "decay"),
    ("c-gram-retrieval", {"alphabet": 2, "gram": 3}, "before"),
    ("counting", {"alphabet": 2}, "before"),
]


@pytest.mark.parametrize(("task", "settings", "part"), BROKEN)
@torch.no_grad()
def test_without_what_the_recurrent_layer_tells_it_fails(task, settings, part):
    construction = HYBRIDS[task](9, **settings)
    block = layer(construction.model, 0)
    if part == "decay":
        block.mixer.decay[-1] = 0
    elif part == "square":
        block.mixer.output.weight[:, 1] = 0
    else:
        block.conv.weight.zero_()
    assert construction.verify().mistakes > 0


def test_without_the_mark_of_what_is_preceded_the_first_token_passes_for_what_follows_a_gram():
    construction = c_gram_hybrid.hybrid(40, alphabet=2)
    tokens, preceded = torch.tensor([[1] * 38 + [0, 0] + [0]]), 2
    with torch.no_grad():
        assert construction.answers(tokens)[0, -1] == 0
        construction.model.embedding.weight[:, preceded] = 0
        assert construction.answers(tokens)[0, -1] == 1


def test_eight_bits_of_precision_do_not_count_that_far():
    index = index_lookup_hybrid.hybrid(600, alphabet=2)
    assert replace(index, model=index.model.bfloat16(), precision=torch.bfloat16).verify(examples=64).mistakes > 0
    gram = c_gram_hybrid.hybrid(700, alphabet=2)
    tokens = torch.zeros(16, 701, dtype=torch.int64)
    for row, place in enumerate(range(600, 616)):
        tokens[row, [place, *range(place + 2, place + 8), -1]] = 1
    with torch.no_grad():
        assert gram.answers(tokens)[:, -1].tolist() == [0] * 16
        assert 1 in replace(gram, model=gram.model.bfloat16()).answers(tokens)[:, -1].tolist()


@pytest.mark.parametrize(
    ("task", "size", "settings", "message"),
    [
        ("index-lookup", 0, {}, "index-lookup/hybrid: size is 0; it must be at least 1"),
        ("index-lookup", 4, {"alphabet": 1}, "index-lookup: alphabet is 1"),
        (
            "associative-recall",
            0,
            {},
            r"associative-recall/hybrid: size is 0; it must be in \[1, 64\]: keys are distinct",
        ),
        ("associative-recall", 65, {}, r"associative-recall/hybrid: size is 65; it must be in \[1, 64\]"),
        ("c-gram-retrieval", 4, {"gram": 5}, r"c-gram-retrieval/hybrid: size is 4; it must be at least 5 \(gram\)"),
        ("counting", 0, {}, "counting/hybrid: size is 0; it must be at least 1"),
        ("counting", 4, {"threshold": -1}, "counting: alphabet is 4 and threshold is -1"),
    ],
)
def test_what_cannot_be_built_is_refused(task, size, settings, message):
    with pytest.raises(UsageError, match=message):
        HYBRIDS[task](size, **settings)
