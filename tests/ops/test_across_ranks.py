"""One sequence over several processes equals one process, gradients included."""

import pytest
import torch

from ops.ranks import BATCH, CHANNELS, MEMBERS, MISTAKES, cases, differentiate, draw, launch
from statewise.core.errors import UsageError
from statewise.ops import across_ranks, linear_scan
from statewise.ops.across_ranks.exchange import LINE_BYTES
from statewise.testing.compare import assert_close, assert_same_bits


def of_count(counts):
    """(count, index) of every case, labelled."""
    return [
        pytest.param(count, index, id=f"{count} {case.label}")
        for count in counts
        for index, case in enumerate(cases(count))
    ]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What every rank said; they are started once."""
    return launch(tmp_path_factory.mktemp("ranks"))


def widened(drawn):
    """The same numbers in float64 or complex128."""

    def wide(each):
        return each.to(torch.complex128 if each.is_complex() else torch.float64)

    return drawn._replace(
        inputs=tuple(map(wide, drawn.inputs)),
        initial=drawn.initial and tuple(map(wide, drawn.initial)),
        on_outputs=wide(drawn.on_outputs),
        on_final=[tuple(map(wide, each)) for each in drawn.on_final],
    )


@pytest.mark.parametrize(("count", "index"), of_count((1, 2, 3)))
def test_pieces_on_several_ranks_are_one_sequence(count, index, answers):
    case, member = cases(count)[index], MEMBERS[cases(count)[index].name]
    ranks = [answer[count][index] for answer in answers[:count]]
    whole, expected = differentiate(member.alone, widened(draw(case, index)), case.back_from)

    outputs = torch.cat([each["made"][0] for each in ranks], 1)
    assert_close("outputs", outputs, whole[0], quantity="output", dtype=case.dtype)
    for rank, part in ((rank, part) for rank in range(count) for part in range(1, len(whole))):
        final = ranks[rank]["made"][part]
        assert_close(f"final {part} on rank {rank}", final, whole[part], quantity="output", dtype=case.dtype)
        assert_same_bits(f"final {part} on rank {rank}", final, ranks[0]["made"][part])

    inputs = len(expected) - len(whole[1:]) * case.initial
    for place, gradient in enumerate(expected):
        parts = [each["grads"][place] for each in ranks]
        timed = member.parameters <= place < inputs
        actual = torch.cat(parts, 1) if timed else torch.stack(parts).sum(0)
        assert_close(f"gradient {place}", actual, gradient, quantity="gradient", dtype=case.dtype)
        if place >= inputs:
            assert not any(part.any() for part in parts[1:]), "only rank 0's initial state has a gradient"


@pytest.mark.parametrize(("count", "index"), of_count((2, 3)))
def test_the_bytes_handed_over_are_those_of_the_formula(count, index, answers):
    case = cases(count)[index]
    there, back = MEMBERS[case.name].numbers(CHANNELS)
    wide = torch.promote_types(case.dtype, torch.float32)
    if wide.is_complex:
        there, back, number = 2 * there - 1, 2 * back, wide.itemsize // 2
    else:
        number = wide.itemsize
    for answer in answers[:count]:
        assert answer[count][index]["handed"] == [LINE_BYTES, BATCH * there * number, BATCH * back * number]


def test_nothing_crosses_a_reset_on_a_later_rank(answers):
    first, second = (answer["apart"] for answer in answers[:2])
    assert first["states"].isnan().all()
    assert second["states"][:, 0].isnan().all()
    assert second["states"][0, 1:, 0].tolist() == [1, 2]
    assert (second["final"] == 2).all()
    assert (second["after nan"] == 2).all()
    assert_same_bits("final", first["final"], second["final"])
    assert second["gradient"][0, :, 0].tolist() == [0, 2, 1]
    assert first["gradient"][0, :, 0].tolist() == [2, 2, 1]


def test_all_ranks_go_back_where_one_waits_for_a_gradient(answers):
    gradient, states = (answer["together"] for answer in answers[:2])
    assert states[0, :, 0].tolist() == [4, 5, 6]
    assert (gradient == 3).all()


BOTH = {
    "channels": "linear_scan across ranks: all ranks must pass one recurrence with the same options, batch, channels,\n"
    "dtype and type of device; only T may differ.\n"
    "  rank 0: linear_scan, float64 on cpu, state (2, 4), gradients on\n"
    "  rank 1: linear_scan, float64 on cpu, state (2, 5), gradients on",
    "batch": "  rank 1: linear_scan, float64 on cpu, state (3, 4), gradients on",
    "dtype": "  rank 1: linear_scan, float32 on cpu, state (2, 4), gradients on",
    "options": "  rank 1: min_gru tanh, float64 on cpu, state (2, 4), gradients on",
    "initial": "linear_scan across ranks: rank 1 passed initial, and rank 0 did not. It is the state before the whole "
    "sequence, read on rank 0. Pass it there.",
    "gradients off": "  rank 1: linear_scan, float64 on cpu, state (2, 4), gradients off",
    "higher order": "linear_scan across ranks: derivatives of higher order (create_graph=True) are not available.",
    "forward mode": "linear_scan across ranks: forward-mode derivatives (jvp, dual tensors) are not available.",
    "loop": 'selective_scan across ranks: kernel "reference" is a graph of single steps, which is not cut into '
    "pieces.\n"
    'Pass kernel="chunked", which takes everything.',
}
ON_RANK_1 = {
    "own arguments": "linear_scan: decay and drive must have the same shape (B, T, D).",
    "device": "linear_scan across ranks: the tensors are on meta; the group's backend gloo sends those on",
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_an_error_on_every_rank_and_none_waits(name, answers):
    said = [answer["mistakes"][name] for answer in answers[:2]]
    if name in BOTH:
        assert all(BOTH[name] in text for text in said), said
    else:
        assert said[0] == "linear_scan across ranks: rank 1 refused the arguments, and says there why."
        assert ON_RANK_1[name] in said[1]


def test_a_rank_outside_the_group_is_told_so(answers):
    assert answers[2]["outside"] == (
        "linear_scan across ranks: rank 2 is not in the group that it was given. Call it on the group's ranks only."
    )


def test_one_process_needs_no_torch_distributed():
    decay, drive = torch.rand(2, 5, 3), torch.randn(2, 5, 3)
    for ours, theirs in zip(across_ranks.linear_scan(decay, drive), linear_scan(decay, drive), strict=True):
        assert_same_bits("alone", ours, theirs)


def test_one_of_several_processes_that_do_not_know_each_other_is_an_error(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    one = torch.ones(1, 2, 1)
    message = (
        r"linear_scan across ranks: torch.distributed is not initialised, and this is one of 4 processes.\n"
        r"Call torch.distributed.init_process_group first, on every one of them\."
    )
    with pytest.raises(UsageError, match=message):
        across_ranks.linear_scan(one, one)
