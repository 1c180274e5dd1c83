import pytest
import torch

from statewise.core.padding import left_padding_reset


@pytest.mark.parametrize("lengths", [[4, 2, 1, 0], torch.tensor([4, 2, 1, 0])], ids=["list", "tensor"])
def test_the_reset_is_at_the_first_real_token_and_nowhere_without_any(lengths):
    reset = left_padding_reset(lengths, 4)
    assert reset.dtype == torch.bool
    assert reset.int().tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_no_sequences_and_no_tokens():
    assert left_padding_reset([], 3).shape == (0, 3)
    assert left_padding_reset([0, 0], 0).shape == (2, 0)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([3, 5], r"lengths are \[3, 5\]; each must be from 0 to 4"),
        ([-1], r"lengths are \[-1\]"),
        (torch.tensor([1.0]), r"int64 of shape \(batch,\).\n  lengths  \(1,\) torch.float32"),
        (torch.tensor(1), r"lengths  \(\) torch.int64"),
    ],
)
def test_lengths_that_cannot_be_are_refused(lengths, message):
    with pytest.raises(ValueError, match=message):
        left_padding_reset(lengths, 4)
