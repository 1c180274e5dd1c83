"""What stands between tensors and the C++ kernels: signs and conjugates resolved, outputs that can be written."""

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.ops import cpu

X = torch.arange(12.0).reshape(1, 3, 4)


def run(inputs, outputs, dtype=torch.float32):
    cpu.run(
        "linear_scan", (*inputs, None, None), outputs, dtype=dtype, shape=(1, 3, 4), instruction_set="portable"
    )  # fmt: skip


def outputs(dtype=torch.float32):
    return torch.empty(1, 3, 4, dtype=dtype), torch.empty(1, 4, dtype=dtype)


def test_conjugates_are_resolved():
    drive = torch.complex(X, X).conj()
    assert drive.is_conj()
    states, final = outputs(torch.complex64)
    run((0 * torch.complex(X, X), drive), (states, final), torch.complex64)
    assert torch.equal(states, torch.complex(X, -X))


def test_signs_are_resolved():
    drive = torch.complex(X, X).conj().imag
    assert drive.is_neg()
    states, final = outputs()
    run((0 * X, drive), (states, final))
    assert torch.equal(states, -X)


@pytest.mark.parametrize(
    "output",
    [
        torch.empty(1, 3, 8)[..., ::2],
        torch.empty(1, 4, 3).transpose(1, 2),
        torch.complex(X, X).conj().imag,
        torch.empty(1, 3, 1).expand(1, 3, 4),
    ],
    ids=["every other channel", "channels first", "negative", "expanded"],
)
def test_outputs_that_cannot_be_written_in_place_are_refused(output):
    with pytest.raises(UsageError, match=r"linear_scan: an output of shape \(1, 3, 4\) has strides .* contiguous"):
        run((X, X), (output, torch.empty(1, 4)))


@pytest.mark.parametrize("which", [0, 1])
def test_outputs_of_another_dtype_are_refused(which):
    given = list(outputs())
    given[which] = given[which].double()
    with pytest.raises(
        UsageError, match=r"linear_scan: the kernel for torch\.float32 cannot write an output of torch\.float64"
    ):
        run((X, X), given)


def test_the_batch_axis_may_have_any_stride():
    wide = torch.zeros(1, 3, 9)
    states, final = wide[..., 2:6], torch.empty(1, 4)
    run((0 * X, X), (states, final))
    assert torch.equal(states, X)
    assert not wide[..., :2].any()
    assert not wide[..., 6:].any()
