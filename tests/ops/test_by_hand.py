"""Small examples worked by hand, exact in every kernel."""

import pytest
import torch

from ops.scans import CPU, RECURRENCES, TRITON_ON_LITTLE, Scan, assert_same_bits, running

INF = float("inf")


def column(*numbers):
    """One sequence of one channel, (1, T, 1)."""
    return torch.tensor(numbers).reshape(1, -1, 1)


def state(*numbers):
    """Parts of a state, (1, 1) each."""
    return tuple(torch.tensor([[number]]) for number in numbers)


SECOND_STARTS = torch.tensor([[False, True, False]])
# σ(0) = 1/2, σ(±200) is 1 and 0 in float32, e^{-200} as well 0.
EXAMPLES = {
    "linear_scan": [
        ((column(0.5, 2.0, -1.0), column(1.0, 2.0, 3.0)), state(4.0), None, [3.0, 8.0, -5.0], [-5.0]),
        ((column(0.5, 2.0, -1.0), column(1.0, 2.0, 3.0)), state(4.0), SECOND_STARTS, [3.0, 2.0, 1.0], [1.0]),
        ((column(0.0, 0.0, 0.0), column(1.0, 2.0, 3.0)), None, None, [1.0, 2.0, 3.0], [3.0]),
        ((column(1.0, 1.0, 1.0), column(1.0, 2.0, 3.0)), state(1.0), None, [2.0, 4.0, 7.0], [7.0]),
    ],
    # Half of the state and half of the candidate; a gate wide open, and one shut.
    "min_gru_scan identity": [
        ((column(0.0, 0.0), column(1.0, 3.0)), state(2.0), None, [1.5, 2.25], [2.25]),
        ((column(0.0, 200.0, -200.0), column(1.0, 3.0, 5.0)), None, None, [0.5, 3.0, 3.0], [3.0]),
        ((column(0.0, -200.0, 0.0), column(1.0, 3.0, 5.0)), state(8.0), SECOND_STARTS, [4.5, 0.0, 2.5], [2.5]),
    ],
    # g(1) = 1.5, g(0) = 0.5, g(-200) = 0.
    "min_gru_scan g": [
        ((column(0.0, 0.0, 0.0), column(1.0, 0.0, -200.0)), None, None, [0.75, 0.625, 0.3125], [0.3125]),
    ],
    "min_gru_scan tanh": [((column(200.0, 0.0), column(200.0, 0.0)), None, None, [1.0, 0.5], [0.5])],
    # Gates that add up to 1 already, or not.
    "min_lstm_scan identity": [
        ((column(0.0, 200.0), column(0.0, 200.0), column(1.0, 2.0)), state(3.0), None, [2.0, 4.0], [4.0]),
        ((column(0.0, 0.0, 0.0), column(0.0, 0.0, 0.0), column(1.0, 2.0, 3.0)), state(3.0), SECOND_STARTS,
         [2.0, 1.0, 2.0], [2.0]),
    ],
    "min_lstm_scan normalised identity": [
        ((column(0.0, 200.0), column(0.0, 200.0), column(1.0, 2.0)), state(3.0), None, [2.0, 2.0], [2.0]),
        ((column(-200.0, 200.0), column(200.0, -200.0), column(1.0, 2.0)), state(3.0), None, [1.0, 1.0], [1.0]),
    ],
    "min_lstm_scan normalised g": [((column(0.0), column(0.0), column(1.0)), state(0.5), None, [1.0], [1.0])],
    "min_lstm_scan tanh": [((column(0.0), column(0.0), column(200.0)), state(1.0), None, [1.0], [1.0])],
    # Equal scores average; a score far above forgets the rest, one far below weighs nothing.
    "softmax_scan": [
        ((column(0.0, 0.0), column(1.0, 3.0)), None, None, [1.0, 2.0], [0.0, 2.0, 4.0]),
        ((column(0.0, 200.0, 0.0), column(1.0, 3.0, 5.0)), None, None, [1.0, 3.0, 3.0], [200.0, 1.0, 3.0]),
        ((column(0.0, 0.0), column(1.0, 2.0)), state(0.0, 2.0, 6.0), None, [7.0 / 3, 2.25], [0.0, 4.0, 9.0]),
        ((column(0.0, 1.0, 1.0), column(1.0, 2.0, 3.0)), state(9.0, 1.0, 6.0), SECOND_STARTS,
         [6.0, 2.0, 2.5], [1.0, 2.0, 5.0]),
        ((column(-INF, 3.0), column(7.0, 2.0)), None, None, [float("nan"), 2.0], [3.0, 1.0, 2.0]),
    ],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("kernel", [*CPU, TRITON_ON_LITTLE])
@pytest.mark.parametrize("name", EXAMPLES)
def test_by_hand(name, kernel):
    for inputs, initial, reset, outputs, final in EXAMPLES[name]:
        with running(kernel) as chosen:
            actual, *last = RECURRENCES[name](Scan(inputs, initial, reset), chosen)
        if name == "softmax_scan" and initial and reset is None:
            torch.testing.assert_close(actual, column(*outputs), rtol=2e-7, atol=0)
        elif name == "softmax_scan" and reset is not None:
            # e^{-9} of the first token beside e^0.
            torch.testing.assert_close(actual, column(*outputs), rtol=2e-3, atol=0)
        else:
            assert_same_bits("outputs", actual, column(*outputs))
        for ours, theirs in zip(last, state(*final), strict=True):
            assert_same_bits("final", ours, theirs)


@pytest.mark.parametrize("kernel", CPU)
def test_complex_decays_turn(kernel):
    turn = torch.full((1, 4, 1), 1j, dtype=torch.complex64)
    with running(kernel) as chosen:
        one = torch.ones(1, 1, dtype=torch.complex64)
        outputs, _ = RECURRENCES["linear_scan"](Scan((turn, 0 * turn), (one,)), chosen)
    assert outputs.flatten().tolist() == [1j, -1, -1j, 1]


@pytest.mark.parametrize("kernel", [*CPU, TRITON_ON_LITTLE])
def test_heads_weigh_their_own_channels(kernel):
    score = torch.tensor([[[0.0, 0.0], [200.0, -200.0]]])
    value = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]])
    with running(kernel) as chosen:
        outputs, largest, denominator, _ = RECURRENCES["softmax_scan"](Scan((score, value)), chosen)
    assert outputs[0, 1].tolist() == [5.0, 6.0, 3.0, 4.0]
    assert (largest.tolist(), denominator.tolist()) == ([[200.0, 0.0]], [[1.0, 1.0]])


@pytest.mark.parametrize("kernel", [*CPU, TRITON_ON_LITTLE])
def test_of_equal_largest_scores_the_first_takes_the_gradient(kernel):
    score = torch.tensor([1.0, 3.0, 3.0, 2.0]).reshape(1, 4, 1).requires_grad_()
    with running(kernel) as chosen:
        _, largest, _, _ = RECURRENCES["softmax_scan"](Scan((score, torch.ones(1, 4, 1))), chosen)
        (found,) = torch.autograd.grad(largest.sum(), score)
    assert found.flatten().tolist() == [0.0, 1.0, 0.0, 0.0]
