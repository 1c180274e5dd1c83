"""Tensors of more than 2^31 elements, without the memory: rows far apart in a file that is mostly holes."""

import pytest
import torch

from ops.scans import ONE_EACH, RECURRENCES, Scan, assert_all_same_bits, draw, running

FAR = 2**31 + 16
"""Elements from one row to the next, more than 32 bits count."""


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    """Float32 memory of which only the pages that are touched exist."""
    path = tmp_path_factory.mktemp("sparse") / "memory"
    size = 2 * FAR + 4096
    with path.open("wb") as file:
        try:
            file.truncate(4 * size)
        except OSError:
            pytest.skip("this file system has no sparse files of 16 GiB")
    yield torch.from_file(str(path), shared=True, size=size, dtype=torch.float32)
    path.unlink()


@pytest.mark.parametrize("name", ONE_EACH)
@pytest.mark.parametrize("kernel", ["cpu portable", "cpu"])
@pytest.mark.parametrize("axis", [0, 1])
def test_rows_beyond_32_bits_are_read(name, kernel, axis, sparse):
    scan = draw(name, *((3, 2, 20), (2, 3, 20))[axis], dtype=torch.float32)
    spread = []
    for index, each in enumerate(scan.inputs):
        strides = (FAR, 64) if axis == 0 else (64 * 8, FAR)
        view = sparse.as_strided(each.shape, (*strides, 1), storage_offset=1024 * index)
        spread.append(view.copy_(each))
    with running(kernel) as chosen:
        far = RECURRENCES[name](Scan(tuple(spread), scan.initial), chosen)
        near = RECURRENCES[name](scan, chosen)
    assert_all_same_bits("outputs", far, near)


@pytest.mark.parametrize("kernel", ["cpu portable", "cpu"])
def test_rows_beyond_32_bits_are_written(kernel, sparse):
    # Through the binding, since the front doors make outputs of their own.
    from statewise.ops import cpu
    from statewise.ops.choice import instruction_set

    scan = draw("linear_scan", 1, 3, 20, dtype=torch.float32, initial=False)
    states = sparse.as_strided((1, 3, 20), (64, FAR, 1))
    final = torch.empty(1, 20)
    with running(kernel) as chosen:
        cpu.run(
            "linear_scan", (*scan.inputs, None, None), (states, final),
            dtype=torch.float32, shape=states.shape, instruction_set=instruction_set(chosen),
        )  # fmt: skip
        near = RECURRENCES["linear_scan"](scan, chosen)
    assert_all_same_bits("outputs", (states.contiguous(), final), near)
