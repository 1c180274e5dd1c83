"""States on disk: what comes back, into which structure, and what is refused."""

from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import save_file

from statewise.core import RunError
from statewise.core.snapshots import load_state, save_state
from statewise.core.state import leaves, map_state


class Inner(NamedTuple):
    hidden: torch.Tensor
    cache: torch.Tensor


class Outer(NamedTuple):
    blocks: tuple[Any, ...]
    position: Any


DTYPES = [
    torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.bool, torch.complex64,
    torch.complex128,
]  # fmt: skip


def filled(dtype, *shape):
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.complex128) * 100
    if dtype.is_complex:
        return numbers.to(dtype)
    return numbers.real > 0 if dtype is torch.bool else numbers.real.to(dtype)


def nested(*, batch=3, cached=4):
    inner = Inner(filled(torch.bfloat16, batch, 4), filled(torch.float32, batch, cached, 5))
    return Outer(blocks=((inner, ()), [filled(torch.complex128, batch, 2)]), position=filled(torch.int64, batch))


def structure(state):
    return type(state) if isinstance(state, torch.Tensor) else (type(state), [structure(part) for part in state])


def assert_equal_states(one, other):
    assert structure(one) == structure(other)
    for left, right in zip(leaves(one), leaves(other), strict=True):
        assert left.dtype == right.dtype
        assert torch.equal(left, right)


def test_a_nested_state_comes_back_into_the_structure_of_an_initial_one(tmp_path):
    state = nested()
    save_state(state, tmp_path / "state")
    assert_equal_states(load_state(tmp_path / "state", like=map_state(torch.zeros_like, nested(cached=0))), state)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(3, 5), (1,), (2, 0, 4), (0, 3)])
def test_every_dtype_and_shape_comes_back(dtype, shape, tmp_path):
    state = filled(dtype, *shape)
    save_state(state, tmp_path / "state")
    assert_equal_states(load_state(tmp_path / "state", like=torch.zeros_like(state)), state)


@pytest.mark.parametrize(
    "spread",
    [
        filled(torch.float32, 4, 6).t(),
        filled(torch.float32, 4, 6)[::2, 1:4],
        filled(torch.float32, 1, 6).expand(3, 6),
        filled(torch.complex64, 4, 2).conj(),
        torch._neg_view(filled(torch.float32, 4, 2)),
        filled(torch.float32, 2, 3).requires_grad_(),
    ],
    ids=["transposed", "sliced", "expanded", "conjugated", "negated", "with gradient"],
)
def test_strides_lazy_bits_and_gradients_do_not_matter(spread, tmp_path):
    save_state((spread, spread), tmp_path / "state")
    back = load_state(tmp_path / "state", like=(spread, spread))
    assert_equal_states(back, (spread.detach(), spread.detach()))


def test_a_state_without_tensors_is_a_state(tmp_path):
    save_state(((), []), tmp_path / "state")
    assert load_state(tmp_path / "state", like=((), [])) == ((), [])


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (torch.zeros(2, 3), r"another structure.\n  in the file  0, 1\n  needed       state"),
        ((torch.zeros(2, 3),), r"in the file  0, 1\n  needed       0$"),
        ((), r"needed       no tensors"),
        ((torch.zeros(2, 4), torch.zeros(2)), r"0 does not fit.\n  in the file  \(2, 3\) .*\n  needed       \(2, 4\)"),
        ((torch.zeros(5, 3), torch.zeros(2)), r"in the file  \(2, 3\) torch.float32\n  needed       \(5, 3\)"),
        ((torch.zeros(0, 3), torch.zeros(2)), r"needed       \(0, 3\)"),
        ((torch.zeros(2, 3, 1), torch.zeros(2)), r"needed       \(2, 3, 1\)"),
        (
            (torch.zeros(2, 3), torch.zeros(2).double()),
            r"1 does not fit.\n  in the file  \(2,\) torch.float32\n  .*float64",
        ),
    ],
)
def test_another_structure_shape_or_dtype_is_refused_with_both(like, message, tmp_path):
    save_state((torch.ones(2, 3), torch.ones(2)), tmp_path / "state")
    with pytest.raises(ValueError, match=message) as caught:
        load_state(tmp_path / "state", like=like)
    assert str(tmp_path / "state") in str(caught.value)


def test_a_file_that_is_missing_damaged_or_of_something_else_is_a_run_error(tmp_path):
    like = torch.zeros(2)
    with pytest.raises(RunError, match=r"there is no state file .*absent"):
        load_state(tmp_path / "absent", like=like)
    save_file({"state": like}, tmp_path / "other")
    with pytest.raises(RunError, match="other is a safetensors file without a state of statewise"):
        load_state(tmp_path / "other", like=like)
    save_state(like, tmp_path / "state")
    (tmp_path / "half").write_bytes((tmp_path / "state").read_bytes()[:-3])
    with pytest.raises(RunError, match="half does not hold a whole state"):
        load_state(tmp_path / "half", like=like)
    save_file({"state": like}, tmp_path / "other", metadata={"statewise.state": "[]"})
    with pytest.raises(RunError, match="other does not hold a whole state: its dtypes are a list"):
        load_state(tmp_path / "other", like=like)
    torch.save({"state": like}, tmp_path / "pickle")
    with pytest.raises(RunError, match="pickle does not hold a whole state: it is a pickle, which can run any program"):
        load_state(tmp_path / "pickle", like=like)
