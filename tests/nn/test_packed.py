"""Packed sequences: each is alone."""

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence

from nn.layers import LENGTHS, OURS, as_hx, draw, hidden
from statewise.nn import MinGRU, MinLSTM
from statewise.testing import assert_close


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("cls", OURS)
def test_packed_sequences_are_each_alone(cls, ordered, with_state):
    rnn = cls(3, 4, num_layers=2, bidirectional=True, dtype=torch.float64)
    lengths = sorted(LENGTHS, reverse=True) if ordered else LENGTHS
    pieces = [draw(length, 3, seed=row).requires_grad_() for row, length in enumerate(lengths)]
    h_0 = draw(4, len(lengths), 4, seed=9).requires_grad_()
    output, state = rnn(pack_sequence(pieces, enforce_sorted=ordered), as_hx(cls, h_0) if with_state else None)
    ours, theirs = [hidden(state).cos().sum()], []
    for row, (piece, together) in enumerate(zip(pieces, unpack_sequence(output), strict=True)):
        alone, alone_state = rnn(piece, as_hx(cls, h_0[:, row]) if with_state else None)
        assert_close("output", together, alone)
        assert_close("h_n", hidden(state)[:, row], hidden(alone_state))
        ours.append(together.sin().sum())
        theirs.append(alone.sin().sum() + hidden(alone_state).cos().sum())
    sources = [*pieces, *rnn.parameters(), *([h_0] if with_state else [])]
    for left, right in zip(
        torch.autograd.grad(sum(ours), sources), torch.autograd.grad(sum(theirs), sources), strict=True
    ):
        assert_close("gradient", left, right)


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("broken", range(len(LENGTHS)))
def test_a_packed_sequence_never_touches_another(broken, with_state):
    rnn = MinGRU(3, 4, num_layers=2, bidirectional=True)
    pieces = [draw(length, 3, seed=row, dtype=torch.float32) for row, length in enumerate(LENGTHS)]
    pieces[broken].fill_(torch.nan)
    for piece in pieces:
        piece.requires_grad_()
    hx = draw(4, len(LENGTHS), 4, dtype=torch.float32) if with_state else None
    output, h_n = rnn(pack_sequence(pieces, enforce_sorted=False), hx)
    outputs = unpack_sequence(output)
    sum(each.sum() for each in outputs).backward()
    expected = [row == broken for row in range(len(LENGTHS))]
    assert [bool(each.isnan().any()) for each in outputs] == expected
    assert h_n.isnan().any(-1).any(0).tolist() == expected
    assert [bool(each.grad.isnan().any()) for each in pieces] == expected


def test_packed_sequences_by_finite_differences():
    rnn = MinLSTM(2, 2, bidirectional=True, dtype=torch.float64)
    data, sizes, *order = pack_sequence([draw(2, 2), draw(3, 2, seed=1)], enforce_sorted=False)

    def run(data, h_0):
        output, (h_n, c_n) = rnn(PackedSequence(data, sizes, *order), (h_0, h_0))
        return output.data, h_n, c_n

    assert torch.autograd.gradcheck(run, (data.requires_grad_(), draw(2, 2, 2, seed=2).requires_grad_()))
