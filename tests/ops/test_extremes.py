"""Numbers at the edge: not finite, saturated, tiny; and scores far apart."""

import pytest
import torch

from ops.scans import (
    CPU,
    GATED,
    ONE_EACH,
    RECURRENCES,
    SETS,
    SOFTMAX,
    TRITON,
    Scan,
    assert_all_same_bits,
    assert_gradients_close,
    assert_outputs_close,
    by,
    cotangents,
    draw,
    gradients,
    running,
    twin_gradients,
    widened,
)

# Triton's interpreter is numpy, which says aloud what becomes NaN, 0 or infinite.
pytestmark = pytest.mark.filterwarnings("ignore:(invalid value|overflow|divide by zero|underflow):RuntimeWarning")
NAN, INF = float("nan"), float("inf")
EVERYWHERE = [(name, kernel) for name in RECURRENCES for kernel in CPU]
IN_TRITON = [pytest.param(name, *TRITON.values, marks=TRITON.marks) for name in ONE_EACH]


def assert_agrees(name, kernel, scan, expected, grads):
    with running(kernel) as chosen:
        outputs, found = gradients(by(name, chosen), scan, grads)
    assert_outputs_close(name, kernel, outputs, expected[0])
    assert_gradients_close(name, kernel, found, expected[1], scan.inputs[0].dtype)


@pytest.mark.parametrize(("name", "kernel"), [*EVERYWHERE, *IN_TRITON])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_what_is_not_finite_spreads_as_in_the_reference(name, kernel, value):
    # One at a time in every input and in the state, in channels of their own.
    scan = draw(name, 2, 12, 20, dtype=torch.float32)
    scan = scan._replace(reset=(torch.arange(24) == 19).view(2, 12))
    for index, each in enumerate(scan.inputs):
        each[0, 3, index * each.shape[-1] // 5] = value
    # An infinite sum or score beside finite ones is no state of the softmax's.
    if value != value or name not in SOFTMAX:
        scan.initial[-1][1, 5] = value
    grads = cotangents(name, scan)
    expected = gradients(by(name, "reference"), scan.map(widened), tuple(map(widened, grads)))
    assert name in GATED or value == -INF or not expected[0][0].isfinite().all()
    assert_agrees(name, kernel, scan, expected, grads)


@pytest.mark.parametrize("kernel", [*SETS, TRITON])
@pytest.mark.parametrize("name", ONE_EACH)
def test_gradients_that_are_not_finite_spread_as_in_the_reference(name, kernel):
    scan = draw(name, 2, 12, 20, dtype=torch.float32, reset=True)
    grads = cotangents(name, scan)
    # A gate's fused gradient is G (c - h), the reference's G c - G h: NaN of an infinite G, though either is lost.
    infinite = NAN if name in GATED else -INF
    grads[0][0, 3, 1], grads[0][1, 9, 2], grads[-1][1, 7] = NAN, infinite, NAN
    expected = gradients(by(name, "reference"), scan.map(widened), tuple(map(widened, grads)))
    assert not all(each.isfinite().all() for each in expected[1])
    assert_agrees(name, kernel, scan, expected, grads)


GATES = torch.tensor(
    [-1e4, -1e3, -110.0, -95.0, -88.5, -40.5, -39.5, -22.5, -21.0, -17.0, 0.0, 17.0, 40.0, 95.0, 1e3, 1e4]
)


@pytest.mark.parametrize(
    ("name", "kernel"), [*((name, kernel) for name in GATED for kernel in CPU), *(each for each in IN_TRITON[1:3])]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gates_of_any_size_open_and_shut_exactly(name, kernel, dtype):
    # Every pair of gates, over the channels.
    pairs = torch.cartesian_prod(GATES, GATES).to(dtype).T[:, None, None, :]
    scan = draw(name, 1, 2, pairs.shape[-1], dtype=dtype)
    scan = scan._replace(inputs=(*(each.expand(1, 2, -1) for each in pairs), *scan.inputs[2:])[: len(scan.inputs)])
    if "gru" in name:
        scan = scan._replace(inputs=(scan.inputs[0], draw(name, 1, 2, pairs.shape[-1], dtype=dtype).inputs[1]))
    grads = cotangents(name, scan)
    expected = twin_gradients(name, scan, grads)
    assert all(each.isfinite().all() for pair in expected for each in pair)
    assert_agrees(name, kernel, scan, expected, grads)


@pytest.mark.parametrize("activation", ["g", "tanh", "identity"])
@pytest.mark.parametrize("kernel", [*CPU, TRITON])
def test_shares_of_two_gates_that_both_vanish_are_those_of_their_limit(activation, kernel):
    # σ(p) / (σ(p) + σ(q)) → σ(p - q) for p, q → -∞.
    name = f"min_lstm_scan normalised {activation}"
    p = torch.tensor([-1e3, -1e3, -1001.0, -1e4, -1e3]).reshape(1, 1, 5)
    q = torch.tensor([-1e3, -1001.0, -1e3, -1e3, -1e4]).reshape(1, 1, 5)
    scan = draw(name, 1, 1, 5, dtype=torch.float32)
    scan = scan._replace(inputs=(p, q, scan.inputs[2]))
    nothing = scan._replace(inputs=(p, q, torch.full_like(p, -200.0 if activation == "g" else 0.0)))
    with running(kernel) as chosen:
        outputs, final = RECURRENCES[name](nothing, chosen)
    kept = torch.sigmoid((p - q).double())
    assert_outputs_close(
        name, kernel, (outputs, final), (kept * scan.initial[0].double(), (kept * scan.initial[0])[:, 0])
    )


@pytest.mark.parametrize("name", GATED)
@pytest.mark.parametrize("kernel", [*CPU, TRITON])
def test_an_infinite_gate_keeps_or_replaces(name, kernel):
    # Two infinite gates have a share where they are not of one sign below.
    scan = draw(name, 1, 4, 3, dtype=torch.float32)
    scan.inputs[0][..., 0], scan.inputs[0][..., 1] = INF, -INF
    grads = cotangents(name, scan)
    expected = gradients(by(name, "reference"), scan.map(widened), tuple(map(widened, grads)))
    assert expected[0][0].isfinite().all()
    assert_agrees(name, kernel, scan, expected, grads)


@pytest.mark.parametrize("name", SOFTMAX)
@pytest.mark.parametrize("kernel", [*CPU, TRITON])
@pytest.mark.parametrize("scores", ["up", "down", "both", "huge"])
def test_scores_far_apart_neither_overflow_nor_vanish(name, kernel, scores):
    scan = draw(name, 2, 21, 8, dtype=torch.float32, initial=False)
    score = scan.inputs[0]
    steps = torch.arange(21)[:, None]
    score += {
        "up": 1e3 * steps - 1e4,
        "down": 1e4 - 1e3 * steps,
        "both": 1e4 * (-1.0) ** steps,
        "huge": torch.full((21, 1), 3e38) * (-1.0) ** steps,
    }[scores]
    if scores == "huge":
        # No two that tie for the largest.
        score[:, ::2] *= 1 - 1e-3 * torch.rand(score[:, ::2].shape, generator=torch.Generator().manual_seed(0))
    grads = cotangents(name, scan)
    expected = twin_gradients(name, scan, grads)
    assert all(each.isfinite().all() for pair in expected for each in pair)
    assert_agrees(name, kernel, scan, expected, grads)


@pytest.mark.parametrize("name", SOFTMAX)
@pytest.mark.parametrize("kernel", [*CPU, TRITON])
@pytest.mark.parametrize("initial", [False, True])
def test_a_token_of_score_minus_infinity_weighs_nothing(name, kernel, initial):
    scan = draw(name, 2, 9, 8, dtype=torch.float32, initial=initial)
    weighty = torch.tensor([2, 3, 5, 8])
    without = scan._replace(inputs=tuple(each[:, weighty] for each in scan.inputs))
    scan.inputs[0][:, [0, 1, 4, 6, 7]] = -INF
    with running(kernel) as chosen:
        outputs, *final = RECURRENCES[name](scan, chosen)
        expected = RECURRENCES[name](without, chosen)
        assert initial or outputs[:, :2].isnan().all()
        assert_all_same_bits("outputs", (outputs[:, weighty], *final), expected)
        # What came before any weight has no gradients.
        begun = scan if initial else scan.tokens(2, None)
        _, found = gradients(by(name, chosen), begun, cotangents(name, begun))
    assert not found[0][begun.inputs[0] == -INF].any()
    assert all(each.isfinite().all() for each in found)


@pytest.mark.parametrize("name", ["linear_scan", *GATED])
@pytest.mark.parametrize("kernel", CPU)
def test_denormal_numbers_are_numbers(name, kernel):
    scan = draw(name, 2, 6, 20, dtype=torch.float64)
    *gates, last = scan.inputs
    scan = scan._replace(inputs=(*gates, last * 1e-310), initial=(scan.initial[0] * 1e-310,))
    with running(kernel) as chosen:
        outputs, final = RECURRENCES[name](scan, chosen)
    expected = RECURRENCES[name].reference(*scan)
    if name.endswith("g"):
        assert_outputs_close(name, kernel, (outputs, final), expected)
    else:
        # Exact to a few of the smallest denormal number, which are steps of 5e-324.
        assert (outputs - expected[0]).abs().max() <= 8 * 5e-324
        assert outputs.abs().max() > 0


@pytest.mark.parametrize("kernel", [*CPU, TRITON])
def test_decay_zero_gives_the_drive_and_one_its_sum(kernel):
    drive = torch.randint(-8, 8, (2, 40, 5), generator=torch.Generator().manual_seed(0)).float()
    with running(kernel) as chosen:
        for decay, expected in ((0.0, drive), (1.0, drive.cumsum(1))):
            outputs, _ = RECURRENCES["linear_scan"].door((torch.full_like(drive, decay), drive), None, None, chosen)
            assert torch.equal(outputs, expected)


@pytest.mark.parametrize("kernel", [*CPU, TRITON])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_narrow_dtypes_accumulate_in_float32(kernel, dtype):
    if dtype == torch.float16 and kernel.startswith("cpu"):
        pytest.skip("float16 has no CPU kernel")
    # From 2048 on, one more is lost in either dtype.
    ones = torch.ones(1, 32, 1, dtype=dtype)
    scan = Scan((ones, ones), (2048 * ones[:, 0],))
    with running(kernel) as chosen:
        (states, final), (_, _, on_initial) = gradients(by("linear_scan", chosen), scan, (ones, 2048 * ones[:, 0]))
    assert (final.item(), on_initial.item()) == (2080.0, 2080.0)
    assert states.dtype == final.dtype == on_initial.dtype == dtype
