"""States as values: named, detached, moved, gathered and put together."""

from typing import Any, NamedTuple

import pytest
import torch

from statewise.core.state import (
    batch_states,
    detach_state,
    gather_states,
    leaves,
    map_state,
    move_state,
    named_leaves,
)


class Cache(NamedTuple):
    keys: torch.Tensor
    start: torch.Tensor


class Whole(NamedTuple):
    blocks: tuple[Any, ...]
    position: Any


def state_of(batch=2, *, cached=3, first=0.0):
    keys = first + torch.arange(batch * cached, dtype=torch.float32).view(batch, cached)
    cache = Cache(keys, torch.arange(batch))
    return Whole(blocks=((cache, ()), [torch.full((batch, 1), 2 + 1j)]), position=torch.arange(batch))


def values_of(state):
    return [leaf.tolist() for leaf in leaves(state)]


def structure(state):
    return type(state) if isinstance(state, torch.Tensor) else (type(state), [structure(part) for part in state])


def test_leaves_are_named_by_fields_and_places():
    assert [name for name, _ in named_leaves(state_of())] == [
        "blocks.0.0.keys",
        "blocks.0.0.start",
        "blocks.1.0",
        "position",
    ]
    assert [name for name, _ in named_leaves(torch.zeros(1))] == ["state"]
    assert list(named_leaves(())) == []
    state = state_of()
    assert [id(leaf) for _, leaf in named_leaves(state)] == [id(leaf) for leaf in leaves(state)]


def test_detaching_keeps_values_and_ends_their_history():
    start = torch.ones(2, 3, requires_grad=True)
    state = Cache(start * 2, torch.arange(2))
    detached = detach_state(state)
    assert type(detached) is Cache
    assert values_of(detached) == values_of(state)
    assert state.keys.requires_grad
    assert not detached.keys.requires_grad


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float64, [torch.float64, torch.int64, torch.complex128, torch.int64]),
        (torch.bfloat16, [torch.bfloat16, torch.int64, torch.complex64, torch.int64]),
        (None, [torch.float32, torch.int64, torch.complex64, torch.int64]),
    ],
)
def test_moving_to_a_dtype_keeps_counters_integer_and_complex_numbers_complex(dtype, expected):
    moved = move_state(state_of(), dtype=dtype)
    assert [leaf.dtype for leaf in leaves(moved)] == expected
    assert values_of(moved) == values_of(state_of())
    assert structure(moved) == structure(state_of())


def test_moving_to_a_device_moves_every_tensor():
    assert {leaf.device.type for leaf in leaves(move_state(state_of(), device="meta"))} == {"meta"}


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64])
def test_a_dtype_that_is_not_floating_is_refused(dtype):
    with pytest.raises(ValueError, match=f"move_state: dtype is {dtype}; it must be a floating one"):
        move_state(state_of(), dtype=dtype)


@pytest.mark.parametrize("rows", [[1, 1, 0], torch.tensor([1, 1, 0])], ids=["list", "tensor"])
def test_gathered_rows_come_in_the_order_asked_for_and_as_often(rows):
    gathered = gather_states(state_of(), rows)
    assert structure(gathered) == structure(state_of())
    assert gathered.blocks[0][0].keys.tolist() == [[3, 4, 5], [3, 4, 5], [0, 1, 2]]
    assert gathered.position.tolist() == [1, 1, 0]
    assert values_of(gather_states(state_of(), [])) == [[]] * 4


def test_gradients_of_gathered_rows_add_up():
    start = torch.ones(2, 1, requires_grad=True)
    gather_states((start,), [0, 0, 1])[0].sum().backward()
    assert start.grad.tolist() == [[2], [1]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 2], r"gather_states: rows are \[0, 2\]; blocks.0.0.keys has a batch of 2"),
        ([-1], r"rows are \[-1\]"),
        (torch.tensor([0.0]), r"rows must be int64 of shape \(rows,\).\n  rows  \(1,\) torch.float32"),
        (torch.tensor([[0]]), r"rows  \(1, 1\) torch.int64"),
    ],
)
def test_rows_that_are_not_there_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        gather_states(state_of(), rows)


def test_states_are_put_together_along_the_batch():
    one, other = state_of(2), state_of(1, first=10.0)
    together = batch_states([one, other])
    assert structure(together) == structure(one)
    assert together.blocks[0][0].keys.tolist() == [[0, 1, 2], [3, 4, 5], [10, 11, 12]]
    assert together.position.tolist() == [0, 1, 0]
    for row, alone in ((slice(0, 2), one), (slice(2, 3), other)):
        assert values_of(map_state(lambda leaf, row=row: leaf[row], together)) == values_of(alone)


def test_caches_of_different_lengths_are_refused_with_both_and_the_way_out():
    with pytest.raises(
        ValueError, match=r"blocks.0.0.keys is \(1, 5\) torch.float32 in state 1 and \(2, 3\)"
    ) as caught:
        batch_states([state_of(2), state_of(1, cached=5)])
    assert "left-padded (statewise.core.padding.left_padding_reset)" in str(caught.value)


def test_states_that_cannot_stand_together_are_refused():
    with pytest.raises(ValueError, match=r"different structure.\n  state 0  0, 1\n  state 1  no tensors"):
        batch_states([(torch.zeros(1), torch.zeros(1)), ()])
    with pytest.raises(
        ValueError, match=r"state is \(1,\) torch.float64 in state 1 and \(1,\) torch.float32 in state 0"
    ):
        batch_states([torch.zeros(1), torch.zeros(1, dtype=torch.float64)])
    with pytest.raises(ValueError, match="there are no states; pass at least one"):
        batch_states([])
