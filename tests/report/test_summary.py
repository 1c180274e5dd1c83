import math
from dataclasses import replace

import pytest

from statewise.report import conclusions, summarise
from statewise.tasks import IndexLookup, Parity


def test_rows_are_means_over_seeds_with_bounds_beside(records):
    summary = summarise(records)
    row = next(row for row in summary.rows if row.stack == "mingru" and row.size == 256)
    assert isinstance(row.task, IndexLookup)
    assert row.token_accuracy.mean == pytest.approx(0.02)
    assert (row.state_bits, row.required_bits) == (1024, 1536)
    assert row.best_accuracy == pytest.approx(0.786, abs=1e-3)
    assert row.recovered.mean == 3.0
    assert row.seconds == 3.0
    assert row.verdict.kind == "cannot"


def test_counters_are_not_taken_for_room(record):
    task = IndexLookup(alphabet=64)
    (row,) = summarise([record(task, "mingru", 0, [(256, 0.1, 0.0, 1472)])]).rows
    assert row.state_bits + 64 == row.required_bits
    assert row.verdict.kind in ("cannot", "not-always")


def test_kinds_of_verdict(records):
    kinds = {(row.task.name, row.stack, row.size): row.verdict.kind for row in summarise(records).rows}
    assert kinds == {
        ("index-lookup", "attention", 16): "solved",
        ("index-lookup", "attention", 256): "solved",
        ("index-lookup", "mingru", 16): "has-room",
        ("index-lookup", "mingru", 256): "cannot",
        ("parity", "gru", 16): "solved",
        ("parity", "gru", 64): "partly",
        ("parity", "mingru", 16): "has-room",
        ("parity", "mingru", 64): "has-room",
        ("dyck", "gru", 64): "not-always",
        ("text", "gru", 64): "no-rule",
    }


def test_runs_without_numbers_are_counted_and_named(record):
    made = [
        record(Parity(), "gru", 0, [(8, 1.0, 1.0, 64)]),
        record(Parity(), "gru", 1, [], status="diverged", because="the loss was nan at step 7"),
        record(Parity(), "lstm", 0, [], status="crashed", because="MemoryError: "),
    ]
    summary = summarise(made)
    assert [row.stack for row in summary.rows] == ["gru"]
    assert math.isnan(summary.rows[0].token_accuracy.low)
    assert summary.missing == (
        "parity · gru · rate 0.005 · seed 1: diverged, the loss was nan at step 7",
        "parity · lstm · rate 0.005 · seed 0: crashed, MemoryError: ",
    )


@pytest.mark.parametrize(("positions", "never"), [("rope", True), ("none", True), ("learned", False)])
def test_rotary_positions_are_none_to_a_stack_without_attention(record, positions, never):
    (row,) = summarise([record(Parity(), "mingru", 0, [(8, 0.5, 0.0, 64)], positions=positions)]).rows
    assert row.verdict.never_everywhere == never


def test_rotary_positions_are_positions_where_an_attention_layer_rotates(record):
    made = [record(Parity(), "attention+mingru", 0, [(8, 0.5, 0.0, 64)], positions="rope", recurrent=False)]
    made[0].facts["non_negative_decay"] = True
    assert not summarise(made).rows[0].verdict.never_everywhere


def test_a_loss_is_not_said_to_be_possibly_negative(record):
    made = [record(Parity(), "gru", seed, [(8, 0.5, 0.0, 64)]) for seed in range(2)]
    made[0] = replace(made[0], results=(replace(made[0].results[0], loss=5.0),))
    (row,) = summarise(made).rows
    assert row.loss.mean - row.loss.half < 0
    assert row.loss.low == 0


def test_conclusions_say_what_was_solved_and_what_a_proof_forbids(records):
    said = conclusions(summarise(records))
    assert said == [
        "index-lookup: attention solves sizes 16 and 256.",
        "index-lookup: mingru solves no size; learning rate tried there, with sequence accuracy on the validation "
        "split: 0.005 (10.0 %); it has room for size 16 and did not learn it; at 256 it cannot (proof): "
        "at most 78.6 % of answers right, since its state has "
        "1,024 bits and 1,536 are required. Proof for size 256: sphere covering of all strings by the answers of the "
        "states.",
        "parity: gru solves size 16; some seeds solve size 64.",
        "parity: mingru solves no size; learning rate tried there, with sequence accuracy on the validation split: "
        "0.005 (15.0 %); it has room for sizes 16 and 64 and did not learn it; a proof says that no stack of its kind "
        "is right at all lengths. Proof for all lengths: Sarrof et al. 2024, arXiv 2405.17394, Thm 2; Grazzi et al. "
        "2025, arXiv 2411.12537, Thm 1.",
        "dyck: gru solves no size; at 64 it cannot be always right (proof), since its state has 2 bits and 3 are "
        "required. Proof for size 64: Myhill-Nerode; Dyck-(n, k) is regular: Bhattamishra et al. 2024, arXiv "
        "2406.09347.",
        "text: gru reaches 0.500 nats per token at size 64.",
    ]
