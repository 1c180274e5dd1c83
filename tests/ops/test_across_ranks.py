"""One sequence over several processes equals one process, gradients included."""

import pytest
import torch

from ops.ranks import (
    BATCH,
    CHANNELS,
    MEMBERS,
    cases,
    differentiate,
    draw,
    launch,
)
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
    """What processes said, by their number; they are started once."""
    found = {}

    def get(count):
        if count not in found:
            found[count] = launch("agree", count, tmp_path_factory.mktemp(f"ranks{count}"))
        return found[count]

    return get


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
    ranks = [answer[index] for answer in answers(count)]
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
    for answer in answers(count):
        assert answer[index]["handed"] == [LINE_BYTES, BATCH * there * number, BATCH * back * number]
