"""RWKV-4's average: the loop is the formula with plain sums, and the scans are the loop."""

import pytest
import torch

from statewise.ops.max_plus_scan import max_plus_scan
from statewise.ops.wkv import WKVState, wkv
from statewise.testing import assert_close

KERNELS = ("scans", "reference")


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def arguments(length, *, batch=3, channels=4, dtype=torch.float64):
    """decay, bonus, key, value, and a state that a sequence left behind."""
    rates = -random(channels, seed=1).exp(), random(channels, seed=2)
    key, value = 3 * random(batch, length, channels, seed=3), random(batch, length, channels, seed=4)
    parts = (random(batch, channels, seed=seed) for seed in (5, 6, 7))
    numerator, denominator, maximum = parts
    state = numerator, denominator.exp(), maximum
    return tuple(each.to(dtype).requires_grad_() for each in (*rates, key, value, *state))


def run(given, reset=None, kernel=None):
    """Outputs and the parts of the final state."""
    outputs, final = wkv(*given[:4], WKVState(*given[4:]) if given[4:] else None, reset=reset, kernel=kernel)
    return outputs, *final


def weighed(ends):
    return torch.stack([(end * random(*end.shape, seed=8 + i)).sum() for i, end in enumerate(ends)]).sum()


def resets(length):
    marked = torch.zeros(3, length, dtype=torch.bool)
    marked[0, 0] = marked[1, length // 2] = marked[2, length - 1] = True
    return marked


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_output_is_the_weighted_average_of_all_values_so_far(kernel):
    decay, bonus, key, value, *_ = arguments(9)
    outputs, *_ = run((decay, bonus, key, value), kernel=kernel)
    for t in range(9):
        ages = torch.arange(t - 1, -1, -1, dtype=torch.float64)[:, None]
        exponents = torch.cat([key[:, :t] + ages * decay, key[:, t : t + 1] + bonus], 1)
        assert_close(f"token {t}", outputs[:, t], (exponents.softmax(1) * value[:, : t + 1]).sum(1))


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 15, 16, 17, 40])
def test_the_scans_are_the_loop(length, reset):
    given, marked = arguments(length), resets(length) if reset else None
    ours, theirs = run(given, marked, "scans"), run(given, marked, "reference")
    for name, one, other in zip(("outputs", *WKVState._fields), ours, theirs, strict=True):
        assert_close(name, one, other)
    grads = (torch.autograd.grad(weighed(ends), given, allow_unused=True) for ends in (ours, theirs))
    for i, (one, other) in enumerate(zip(*grads, strict=True)):
        assert_close(f"gradient {i}", one, other)


def test_no_tokens_give_the_initial_state():
    given = arguments(0)
    for kernel in KERNELS:
        outputs, *final = run(given, kernel=kernel)
        assert outputs.shape == (3, 0, 4)
        assert all(torch.equal(before, after) for before, after in zip(given[4:], final, strict=True))
        assert [part.flatten()[0].item() for part in run(given[:4], kernel=kernel)[1:]] == [0, 0, -torch.inf]


@pytest.mark.parametrize("kernel", KERNELS)
def test_keys_of_any_size_stay_finite(kernel):
    for size in (1e3, 1e30):
        given = [each.detach().requires_grad_() for each in arguments(9, dtype=torch.float32)[:4]]
        ends = run([*given[:2], given[2] * size, given[3]], kernel=kernel)
        grads = torch.autograd.grad(weighed(ends), given)
        assert all(bool(each.isfinite().all()) for each in (*ends, *grads))


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_decay_that_forgets_all_leaves_the_last_value(kernel):
    _, bonus, key, value, *_ = arguments(9)
    outputs, numerator, denominator, _ = run((bonus * 0 - 1e4, bonus * 0 - 1e4, key, value), kernel=kernel)
    assert_close("outputs", outputs[:, 1:], value[:, :-1])
    assert_close("last", numerator / denominator, value[:, -1])


@pytest.mark.parametrize("kernel", KERNELS)
def test_not_even_a_nan_crosses_a_reset(kernel):
    *given, maximum = arguments(9)
    with torch.no_grad():
        given[4][0] = given[5][0] = torch.inf
    outputs, *final = run((*given, maximum), resets(9), kernel=kernel)
    assert bool(outputs[0].isfinite().all())
    assert all(bool(part[0].isfinite().all()) for part in final)


def test_half_precision_keeps_its_state_in_float32():
    given = arguments(40, dtype=torch.bfloat16)[:4]
    outputs, *final = run(given)
    assert outputs.dtype == torch.bfloat16
    assert {part.dtype for part in final} == {torch.float32}
    exact, *_ = run([each.double() for each in given])
    assert_close("outputs", outputs, exact, quantity="output")


def test_gradients_are_those_of_finite_differences():
    given, marked = arguments(4, batch=2, channels=1), resets(4)[1:]
    for reset in (None, marked):
        assert torch.autograd.gradcheck(lambda *each, reset=reset: run(each, reset), given)
    assert torch.autograd.gradgradcheck(lambda *each: run(each, marked), given)


def test_a_later_token_changes_no_earlier_output():
    decay, bonus, key, value, *_ = arguments(20)
    before, *_ = run((decay, bonus, key, value))
    key, value = key.detach().clone(), value.detach().clone()
    key[:, 11:] += 40
    value[:, 11:] += 1
    assert torch.equal(run((decay, bonus, key, value))[0][:, :11], before[:, :11])


def test_what_does_not_fit_is_refused():
    decay, bonus, key, value, *state = arguments(5)
    with pytest.raises(ValueError, match=r"wkv: decay must have the shape \(D,\)"):
        wkv(decay[:1], bonus, key, value)
    with pytest.raises(ValueError, match="wkv: key and value must have the same shape"):
        wkv(decay, bonus, key, value[:, 1:])
    with pytest.raises(ValueError, match="unknown kernel of wkv 'chunked': there are reference, scans"):
        wkv(decay, bonus, key, value, kernel="chunked")
    with pytest.raises(ValueError, match=r"initial state must be torch.float64 .* numerator torch.float32"):
        wkv(decay, bonus, key, value, WKVState(*(part.float() for part in state)))
    with pytest.raises(ValueError, match=r"wkv: initial.maximum must have the shape"):
        wkv(decay, bonus, key, value, WKVState(state[0], state[1], state[2][:1]))
    with pytest.raises(ValueError, match="wkv: reset must be bool"):
        wkv(decay, bonus, key, value, reset=torch.zeros(3, 5))


def largest_so_far(log_decay, score, initial, reset):
    """The max-plus scan as a loop, the earliest of equals kept."""
    found = []
    for t in range(score.shape[1]):
        before = initial if reset is None else initial.masked_fill(reset[:, t, None], -torch.inf)
        carried = before + log_decay[:, t]
        initial = torch.where(carried >= score[:, t], carried, score[:, t])
        found.append(initial)
    return torch.stack(found, 1) if found else score


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 15, 16, 17, 50])
def test_the_max_plus_scan_is_its_loop_with_nothing_among_its_numbers(length, reset):
    log_decay, score = -random(3, length, 4, seed=1).abs(), 3 * random(3, length, 4, seed=2)
    initial, marked = random(3, 4, seed=3), torch.zeros(3, length, dtype=torch.bool)
    initial[2] = -torch.inf
    if length > 3:
        score[0, 2] = score[1, 3] = log_decay[1, 3] = score[2, :3] = -torch.inf
        score[2, 3], log_decay[2, 4:] = 5, 0
        marked[0, 2] = marked[1, 0] = marked[1, 3] = True
    given = [each.requires_grad_() for each in (log_decay, score, initial)]
    ours, theirs = (scan(*given, marked if reset else None) for scan in (max_plus_scan, largest_so_far))
    assert_close("maxima", ours, theirs)
    ends = (weighed([each.masked_fill(each == -torch.inf, 0)]) for each in (ours, theirs))
    for one, other in zip(*(torch.autograd.grad(end, given, allow_unused=True) for end in ends), strict=True):
        if one is not None and other is not None:
            assert_close("gradient", one, other)


def test_the_max_plus_scan_takes_one_decay_for_all():
    score, initial = 3 * random(3, 20, 4, seed=2), random(3, 4, seed=3)
    decays = -random(4, seed=1).abs()
    assert_close(
        "maxima", max_plus_scan(decays, score, initial), largest_so_far(decays.expand(3, 20, 4), score, initial, None)
    )
