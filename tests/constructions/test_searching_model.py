"""A table and its model: what is kept, compared, counted and written."""

from dataclasses import replace

import pytest
import torch

from statewise.constructions.searching_model import searching_model
from statewise.constructions.searching_table import Flag, Register, Rule, Table, read
from statewise.core import UsageError
from statewise.core.state import state_bits

A, B, C, ASK, SAME, OTHER = range(6)
LETTERS = {"letter": [A, B, C], "ask": [ASK]}


def written(table, tokens):
    """The next token at every place, and the same step by step."""
    model, tokens = searching_model(table), torch.tensor([tokens])
    with torch.no_grad():
        at_once = model(tokens)[0].argmax(-1)[0].tolist()
        state, steps = model.initial_state(1), []
        for token in tokens.T:
            logits, state = model.step(token, state)
            steps.append(logits.argmax(-1).item())
    assert steps == at_once
    return at_once


def table(**parts):
    return Table(**({"vocabulary": 6, "kinds": LETTERS, "registers": {}, "rules": ()} | parts))


@pytest.mark.parametrize("back", [0, 1, 3])
def test_a_register_without_a_condition_is_the_token_so_many_places_before(back):
    copies = table(registers={"older": Register(back=back)}, rules=(Rule("", "older"),))
    tokens = [4, 2, 0, 5, 3, 3, 1, 2]
    assert written(copies, tokens)[back:] == tokens[: len(tokens) - back]


def test_a_register_keeps_what_it_took_last():
    keeps = table(registers={"last": Register("letter")}, rules=(Rule("ask", "last"), Rule("letter", OTHER)))
    assert written(keeps, [B, ASK, ASK, C, A, ASK]) == [OTHER, B, B, OTHER, OTHER, A]


def test_a_register_may_take_an_older_token_and_look_at_kinds_before():
    keeps = table(registers={"asked": Register("letter !ask@2 ask@1", back=2)}, rules=(Rule("ask", "asked"),))
    says = written(keeps, [B, ASK, A, ASK, ASK, C, ASK, A, ASK])
    assert [says[place] for place in (3, 6, 8)] == [B, B, C]


def test_a_flag_is_set_and_cleared_and_starts_cleared():
    flags = {"behind": Flag("letter", "ask@1")}
    says = table(flags=flags, rules=(Rule("behind", SAME), Rule("!behind", OTHER)))
    assert written(says, [ASK, ASK, A, ASK, A, A]) == [OTHER, OTHER, SAME, SAME, SAME, OTHER]


@pytest.mark.parametrize(("one", "other"), [(A, A), (B, B), (A, B), (A, C), (C, B)])
def test_registers_are_compared(one, other):
    compares = table(
        registers={"one": Register("letter !letter@1"), "other": Register("letter letter@1")},
        rules=(Rule("ask one=other", SAME), Rule("ask !one=other", "other")),
    )
    assert written(compares, [one, other, ASK])[-1] == (SAME if one == other else other)


def test_what_must_not_hold_may_be_two_comparisons():
    registers = {"one": Register("letter !letter@1"), "other": Register("letter letter@1"), "last": Register("letter")}
    compares = table(
        registers=registers,
        counts={"letter": 1, "ask": -1},
        rules=(Rule("ask !left=0 !one=other", OTHER), Rule("ask !left=0 one=other", SAME), Rule("ask left=0", "last")),
    )
    assert written(compares, [A, B, ASK, ASK])[2:] == [OTHER, B]
    assert written(compares, [B, B, ASK, ASK])[2:] == [SAME, B]


def test_a_counter_knows_when_it_is_back_at_nothing():
    counts = table(counts={"letter": 1, "ask": -1}, rules=(Rule("left=0", SAME), Rule("!left=0", OTHER)))
    assert written(counts, [A, ASK, A, B, ASK, ASK]) == [OTHER, SAME, OTHER, OTHER, OTHER, SAME]


def test_a_counter_is_exact_for_long():
    counts = table(counts={"letter": 1, "ask": -1}, rules=(Rule("left=0", SAME), Rule("!left=0", OTHER)))
    assert written(counts, [A] * 3000 + [ASK] * 3000)[-2:] == [OTHER, SAME]


def test_of_any_number_of_ids_only_the_digits_of_codes_grow():
    registers = {"last": Register("letter"), "older": Register(back=2)}
    sizes = []
    for bits in (3, 6, 9):
        model = searching_model(table(vocabulary=2**bits, registers=registers, rules=(Rule("ask", "older"),)))
        sizes.append((model.config.width, state_bits(model.initial_state(1))))
        assert model.config.width == 4 * bits + 2
    assert sizes[2][1] - sizes[1][1] == sizes[1][1] - sizes[0][1]


def test_a_table_without_a_past_has_no_convolution_and_one_layer():
    model = searching_model(table(registers={"last": Register("letter")}, rules=(Rule("ask", "last"),)))
    assert (model.config.conv, model.config.stack) == (0, "mingru")


def test_conditions_are_read():
    assert [(each.text, each.holds, each.compares) for each in read("!end@2 near=father v")] == [
        ("end@2", False, False),
        ("near=father", True, True),
        ("v", True, False),
    ]
    assert read("") == ()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"registers": {"ask": Register()}}, "table: 'ask' stands for two things"),
        ({"registers": {"token": Register()}}, "table: 'token' stands for two things"),
        (
            {"rules": (Rule("letter !aks@1", SAME),)},
            "table: 'aks@1' in the condition 'letter !aks@1' is the name of no",
        ),
        ({"rules": (Rule("ask=last", SAME),)}, "table: 'ask=last' in the condition 'ask=last' is the name of nothing"),
        ({"flags": {"f": Flag("ask", "f@1")}}, "table: 'f@1' in the condition 'f@1' is the name of nothing"),
    ],
)
def test_a_name_that_means_nothing_or_two_things_is_refused(parts, message):
    with pytest.raises(UsageError, match=message):
        replace(table(), **parts)
