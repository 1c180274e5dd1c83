"""Thresholds of features by attention, of which equality and disjointness are two."""

import dataclasses
import itertools

import pytest
import torch

from statewise.constructions import disjointness, equality, threshold
from statewise.constructions.threshold_model import Feature, terms_of, threshold_model
from statewise.constructions.threshold_task import Threshold
from statewise.core import UsageError
from statewise.models import load_model, save_model
from statewise.testing.tasks import check_task

SMALL = [
    (equality.attention, 4, {}),
    (equality.attention, 2, {"alphabet": 5}),
    (equality.attention, 3, {"alphabet": 3, "form": "one-difference"}),
    (disjointness.attention, 4, {}),
    (disjointness.attention, 4, {"interleaved": True}),
    (threshold.attention, 4, {"at_least": 1}),
    (threshold.attention, 4, {"at_least": 2}),
    (threshold.attention, 4, {"at_least": 4}),
    (threshold.attention, 4, {"at_least": 3, "interleaved": True}),
]
LARGE = [
    (equality.attention, {"form": "one-difference", "alphabet": 16}),
    (disjointness.attention, {}),
    (threshold.attention, {"at_least": 500}),
    (threshold.attention, {"at_least": 1000}),
]


@pytest.mark.parametrize(("attention", "size", "settings"), SMALL)
def test_every_input_of_every_size_is_answered(attention, size, settings):
    for smaller in range(settings.get("at_least", 1), size + 1):
        construction = attention(smaller, **settings)
        verification = construction.verify()
        assert verification.exhaustive
        assert verification.exact, verification.first
        assert construction.sizes == (smaller, smaller)


@pytest.mark.parametrize(("attention", "settings"), LARGE)
def test_a_long_string_is_read_exactly(attention, settings):
    construction = attention(1000, **settings)
    assert construction.precision == torch.float32
    verification = construction.verify(examples=16)
    assert verification.exact, verification.first


def test_a_count_beyond_what_float32_is_proved_for_is_in_float64():
    construction = threshold.attention(1100, at_least=1000)
    assert construction.precision == torch.float64
    assert {parameter.dtype for parameter in construction.model.parameters()} == {torch.float64}
    assert construction.verify(examples=8).exact


@pytest.mark.parametrize("attention", [equality.attention, disjointness.attention, threshold.attention])
def test_step_by_step_and_saved_it_says_the_same(attention, tmp_path):
    construction = attention(6)
    save_model(construction.model, tmp_path / "model.safetensors")
    model = load_model(tmp_path / "model.safetensors")
    batch = construction.task.examples("train", seed=0, start=0, count=64, size=6)
    state = model.initial_state(64)
    with torch.no_grad():
        for token in batch.tokens.unbind(1):
            logits, state = model.step(token, state)
    assert torch.equal(logits.argmax(-1), batch.targets[:, -1])


@pytest.mark.parametrize("attention", [equality.attention, disjointness.attention, threshold.attention])
def test_the_width_is_logarithmic(attention):
    assert [attention(size).model.config.width for size in (5, 60, 1000)] == [2 * 4 + 6, 2 * 7 + 6, 2 * 11 + 6]


def test_it_is_built_for_one_size():
    construction = disjointness.attention(4)
    assert construction.verify(3).mistakes > 0
    with pytest.raises(UsageError, match="has no learned position"):
        construction.verify(5)


@pytest.mark.parametrize("attention", [equality.attention, disjointness.attention, threshold.attention])
def test_one_digit_less_gives_places_one_address_and_fails(attention):
    construction = attention(4)
    digits = 4 if attention is equality.attention else 3
    with torch.no_grad():
        construction.model.places.weight[:, [2 + digits - 1, 2 + 2 * digits - 1]] = 0
    assert construction.verify().mistakes > 0


def test_a_softer_look_blurs():
    construction = disjointness.attention(64)
    with torch.no_grad():
        construction.model.blocks[0].mixer.query_key_value.weight[: construction.model.config.width] *= 0.05
    assert construction.verify().mistakes > 0


def test_a_count_in_bfloat16_is_wrong():
    construction = threshold.attention(400, at_least=300)
    assert construction.verify(examples=64).exact
    coarse = dataclasses.replace(construction, model=construction.model.bfloat16(), precision=torch.bfloat16)
    assert coarse.verify(examples=64).mistakes > 0


def test_features_may_be_of_any_places_and_any_functions():
    odd = terms_of(lambda *symbols: sum(symbols) % 2 == 1, 3, 3)
    least = terms_of(lambda one, other: one < other, 2, 3)
    two = terms_of(lambda symbol: symbol == 2, 1, 3)
    features = [Feature((1, 0, 3), odd), Feature((0, 2), least), Feature((0,), two), Feature((3, 4), least)]
    every = torch.tensor(list(itertools.product(range(3), repeat=5)))
    a, b, c, d, e = every.unbind(1)
    count = ((a + b + d) % 2 == 1).int() + (a < c).int() + (a == 2).int() + (d < e).int()
    for at_least in range(6):
        model = threshold_model(features, length=5, vocabulary=5, symbols=3, at_least=at_least, answers=(3, 4))
        with torch.no_grad():
            answers = model(every)[0][:, -1].argmax(-1)
        assert torch.equal(answers, 3 + (count >= at_least).long()), at_least
    assert model.config.width // int(model.config.mixer_settings[0].split("=")[1]) == 2


def test_a_majority_is_a_threshold_of_features_of_one_place():
    one = terms_of(lambda symbol: symbol == 1, 1, 2)
    features = [Feature((place,), one) for place in range(7)]
    model = threshold_model(features, length=7, vocabulary=2, symbols=2, at_least=4, answers=(0, 1))
    every = torch.tensor(list(itertools.product(range(2), repeat=7)))
    with torch.no_grad():
        assert torch.equal(model(every)[0][:, -1].argmax(-1), (every.sum(1) >= 4).long())


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([(3, 1)], r"places are \(3, 1\); they must be in \[0, 4\), the largest last"),
        ([(1, 4)], r"places are \(1, 4\)"),
        ([()], r"places are \(\)"),
        ([(0, 2), (1, 2)], "two features end at place 2; each needs a last of its own"),
    ],
)
def test_features_that_no_place_can_work_out_are_refused(places, message):
    with pytest.raises(UsageError, match=message):
        threshold_model(
            [Feature(each, ((1, 1),)) for each in places], length=4, vocabulary=4, symbols=2, at_least=1, answers=(2, 3)
        )


@pytest.mark.parametrize(
    ("attention", "size", "settings", "message"),
    [
        (equality.attention, 0, {}, "equality/attention: size is 0; it must be at least 1"),
        (equality.attention, 4, {"alphabet": 1}, "equality: alphabet is 1"),
        (equality.attention, 4, {"form": "next-character"}, "equality/attention: form is 'next-character'; it must be"),
        (disjointness.attention, 0, {}, "disjointness/attention: size is 0; it must be at least 1"),
        (threshold.attention, 0, {}, "threshold/attention: size is 0; it must be at least 1"),
        (
            threshold.attention,
            3,
            {"at_least": 4},
            "threshold: size is 3; it must be at least 4, or the answer is always",
        ),
        (threshold.attention, 3, {"at_least": 0}, "threshold: at_least is 0; it must be at least 1"),
    ],
)
def test_what_cannot_be_built_is_refused(attention, size, settings, message):
    with pytest.raises(UsageError, match=message):
        attention(size, **settings)


@pytest.mark.parametrize(("at_least", "interleaved"), [(1, False), (2, True), (3, False)])
def test_every_law_of_a_task_holds(at_least, interleaved):
    check_task(Threshold(at_least=at_least, interleaved=interleaved))


def test_sets_have_just_enough_elements_in_common_or_one_too_few():
    task = Threshold(at_least=3)
    tokens, targets, *_ = task.examples("train", seed=0, start=0, count=2000, size=7)
    common = (tokens[:, :7] * tokens[:, 7:]).sum(1)
    assert torch.equal(common - 2, targets[:, -1] - 2)


@pytest.mark.parametrize(("bits", "answer"), [("11011101", 3), ("10011100", 2), ("01100110", 3)])
def test_examples_worked_by_hand(bits, answer):
    tokens = torch.tensor([list(map(int, bits))])
    task = Threshold(at_least=2)
    batch = task.examples("train", seed=0, start=0, count=1, size=4)
    assert int(task.solve(batch._replace(tokens=tokens))[0, -1]) == answer
