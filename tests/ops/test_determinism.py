"""The same arguments give the same bits, at any number of threads and whatever memory held before."""

import pytest
import torch

from ops.scans import (
    CPU,
    FORMS,
    ONE_EACH,
    SETS,
    TRITON,
    assert_all_same_bits,
    by,
    cotangents,
    draw,
    gradients,
    running,
)

# Fewer sequences than threads, so that they share the channels of one; time in segments; and too little for threads.
SHAPES = [(2, 600, 160), (1, 5000, 4), (2, 3000, 5), (3, 9, 20)]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("kernel", ["cpu portable", SETS[-1]])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_threads_change_no_bit(name, kernel, shape, set_threads):
    scan = draw(name, *shape, dtype=torch.float32, reset=True)
    grads = cotangents(name, scan)
    set_threads(1)
    with running(kernel) as chosen:
        alone = gradients(by(name, chosen), scan, grads)
        for threads in (1, 2, 3, 16):
            set_threads(threads)
            together = gradients(by(name, chosen), scan, grads)
            assert_all_same_bits(f"{threads} threads", together[0] + together[1], alone[0] + alone[1])


@pytest.mark.parametrize("kernel", SETS)
def test_every_channel_rounds_alike_wherever_it_stands_in_a_vector(kernel):
    for name in FORMS:
        scan = draw(name, 1, 6, 40, dtype=torch.float32)
        same = scan.map(lambda each: each[..., :1].expand_as(each))
        with running(kernel) as chosen:
            found = gradients(
                by(name, chosen), same, [each[..., :1].expand_as(each) for each in cotangents(name, same)]
            )
        parts = [half for each in found[0] + found[1] for half in each.chunk(each.shape[-1] // 10, -1)]
        for part in parts:
            assert_all_same_bits(name, (part,), (part[..., :1].expand_as(part),))


def poisoned(plain):
    """`new_empty` that fills floating-point memory with NaN."""

    def new_empty(*arguments, **options):
        memory = plain(*arguments, **options)
        return memory.fill_(float("nan")) if memory.is_floating_point() and not memory.is_meta else memory

    return new_empty


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        *((name, kernel) for name in FORMS for kernel in CPU),
        *(pytest.param(name, *TRITON.values, marks=TRITON.marks) for name in ONE_EACH),
    ],
)
def test_every_number_that_comes_back_was_written(name, kernel, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned(torch.Tensor.new_empty))
    shapes = [(2, 0, 8), (2, 5, 20), (2, 3, 0), (0, 3, 8), (1, 130 if kernel == "triton" else 2100, 3)]
    with running(kernel) as chosen:
        for shape in shapes:
            scan = draw(name, *shape, dtype=torch.float32, reset=True)
            outputs, found = gradients(by(name, chosen), scan, cotangents(name, scan))
            assert all(each.isfinite().all() for each in outputs + found)
