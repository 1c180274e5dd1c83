"""Sequences cut, joined and packed: carrying a state changes nothing, and nothing crosses a reset."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.scans import (
    CPU,
    FORMS,
    GATED,
    ONE_EACH,
    PACKED,
    RECURRENCES,
    SETS,
    TRITON,
    assert_all_same_bits,
    assert_outputs_close,
    by,
    cotangents,
    draw,
    gradients,
    running,
)
from statewise.testing.compare import assert_close

# Triton's interpreter is numpy, which says aloud what becomes NaN.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")

EVERYWHERE = [(name, kernel) for name in RECURRENCES for kernel in CPU]
IN_TRITON = [pytest.param(name, *TRITON.values, marks=TRITON.marks) for name in ONE_EACH]


@pytest.mark.parametrize(("name", "kernel"), [*EVERYWHERE, *IN_TRITON])
def test_a_cut_anywhere_changes_nothing(name, kernel):
    member, scan = RECURRENCES[name], draw(name, 2, 9, 20, dtype=torch.float32, reset=True)
    with running(kernel) as chosen:
        whole = member(scan, chosen)
        for cut in (0, 1, 4, 9):
            left, *middle = member(scan.tokens(0, cut), chosen)
            right, *final = member(scan.tokens(cut, None)._replace(initial=tuple(middle)), chosen)
            joined = (torch.cat([left, right], 1), *final)
            if kernel == "reference" and name in GATED + PACKED:
                # torch's own sigmoid rounds a number by its place in a vector.
                assert_outputs_close(name, f"cut at {cut}", joined, whole)
            else:
                assert_all_same_bits(f"cut at {cut}", joined, whole)


@pytest.mark.parametrize(("name", "kernel"), [*EVERYWHERE, *IN_TRITON])
def test_a_reset_equals_separate_sequences(name, kernel):
    member, scan = RECURRENCES[name], draw(name, 2, 9, 20, dtype=torch.float32)
    scan = scan._replace(reset=(torch.arange(9) == 4).expand(2, 9))
    grads = cotangents(name, scan)
    first, second = scan.tokens(0, 4)._replace(reset=None), scan.tokens(4, None)._replace(initial=None, reset=None)
    with running(kernel) as chosen:
        outputs, found = gradients(by(name, chosen), scan, grads)
        left, on_left = gradients(by(name, chosen), first, (grads[0][:, :4], *[None] * len(member.state)))
        right, on_right = gradients(by(name, chosen), second, (grads[0][:, 4:], *grads[1:]))
    assert_all_same_bits("values", outputs, (torch.cat([left[0], right[0]], 1), *right[1:]))
    count = len(member.inputs)
    joined = [torch.cat(pair, 1) for pair in zip(on_left[:count], on_right, strict=True)]
    assert_all_same_bits("gradients", found, [*joined, *on_left[count:]])


@pytest.mark.parametrize(("name", "kernel"), [*EVERYWHERE, *IN_TRITON])
def test_no_token_gives_the_initial_state_and_its_gradient_back(name, kernel):
    member, scan = RECURRENCES[name], draw(name, 2, 0, 20)
    grads = cotangents(name, scan)
    with running(kernel) as chosen:
        (outputs, *final), found = gradients(by(name, chosen), scan, grads)
        _, *empty = member(scan._replace(initial=None), chosen)
    assert outputs.shape == (2, 0, 20)
    assert_all_same_bits("final", final, scan.initial)
    assert not {each.data_ptr() for each in final} & {each.data_ptr() for each in scan.initial}
    # Close, since softmax_scan takes from one part what it gives to the others, and adds it again.
    for part, actual, expected in zip(member.state, found[len(member.inputs) :], grads[1:], strict=True):
        assert_close(f"gradient of {part}", actual, expected, quantity="gradient")
    assert all(torch.equal(each, torch.full_like(each, each.amax())) for each in empty)
    assert [each.shape for each in empty] == [each.shape for each in scan.initial]
    assert {each.amax().item() for each in empty} <= {0.0, -torch.inf}


@pytest.mark.parametrize("kernel", [*CPU, TRITON])
def test_no_token_gives_the_gradient_of_an_empty_state_back(kernel):
    scan = draw("softmax_scan", 2, 0, 20)
    largest, denominator, numerator = scan.initial
    scan = scan._replace(initial=(largest - torch.inf, 0 * denominator, 0 * numerator))
    grads = cotangents("softmax_scan", scan)
    with running(kernel) as chosen:
        final, found = gradients(by("softmax_scan", chosen), scan, grads)
    assert_all_same_bits("final", final[1:], scan.initial)
    assert_all_same_bits("gradients", found[2:], grads[1:])


@pytest.mark.parametrize(("name", "kernel"), [*EVERYWHERE, *IN_TRITON])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nothing_crosses_a_reset(name, kernel, value):
    scan = draw(name, 1, 12, 20, dtype=torch.float32)
    scan = scan._replace(reset=torch.arange(12)[None] == 6)
    grads = cotangents(name, scan)
    count = len(scan.inputs)
    with running(kernel) as chosen:
        clean, on_clean = gradients(by(name, chosen), scan, grads)
        # Before the reset values that are not finite, and after it gradients.
        for each in scan.inputs:
            each[:, 5] = value
        for part in scan.initial:
            part[:] = value
        dirty, on_dirty = gradients(by(name, chosen), scan, grads)
    assert not dirty[0][:, 5].isfinite().any()
    assert_all_same_bits("values", (dirty[0][:, 6:], *dirty[1:]), (clean[0][:, 6:], *clean[1:]))
    late = [[each[:, 6:] for each in on[:count]] for on in (on_dirty, on_clean)]
    assert_all_same_bits("gradients after it", *late)


@pytest.mark.parametrize(("name", "kernel"), [*EVERYWHERE, *IN_TRITON])
def test_no_gradient_crosses_a_reset(name, kernel):
    scan = draw(name, 1, 12, 20, dtype=torch.float32)
    scan = scan._replace(reset=torch.arange(12)[None] == 6)
    grads = cotangents(name, scan)
    count = len(scan.inputs)
    with running(kernel) as chosen:
        _, on_clean = gradients(by(name, chosen), scan, grads)
        grads[0][:, 8] = float("inf")
        for each in grads[1:]:
            each[:] = float("nan")
        _, on_dirty = gradients(by(name, chosen), scan, grads)
    assert not on_dirty[1][:, 6:9].isfinite().any() if name == "linear_scan" else not on_dirty[0].isfinite().all()
    early = [[each[:, :6] for each in on[:count]] + list(on[count:]) for on in (on_dirty, on_clean)]
    assert_all_same_bits("gradients before it", *early)


@pytest.mark.parametrize("name", FORMS)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5), kernel=st.sampled_from(SETS))
@settings(deadline=None, max_examples=15, derandomize=True, database=None)
def test_packed_sequences_equal_each_alone(name, lengths, kernel):
    member, total = RECURRENCES[name], sum(lengths)
    scan = draw(name, 1, total, 6, dtype=torch.float32, initial=False)
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    with running(kernel) as chosen:
        reset = torch.isin(torch.arange(total), torch.tensor(starts))[None]
        outputs, *_ = member(scan._replace(reset=reset), chosen)
        alone = [
            member(scan.tokens(start, start + length), chosen)[0] for start, length in zip(starts, lengths, strict=True)
        ]
    assert_all_same_bits("outputs", (outputs,), (torch.cat(alone, 1),))
