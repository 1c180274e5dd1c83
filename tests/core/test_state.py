"""States: their tensors, their bits, and the road through bytes."""

import struct
from typing import Any, NamedTuple

import pytest
import torch

from statewise.core.state import from_bytes, leaves, map_state, state_bits, to_bytes


class Inner(NamedTuple):
    hidden: torch.Tensor
    gate: torch.Tensor


class Outer(NamedTuple):
    blocks: tuple[Any, ...]
    position: Any


DTYPES = [
    torch.float64,
    torch.float32,
    torch.bfloat16,
    torch.float16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
    torch.complex64,
]


def filled(dtype, *shape):
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 100
    return numbers > 0 if dtype is torch.bool else numbers.abs().to(dtype)


def nested(*, batch=3):
    inner = Inner(filled(torch.float32, batch, 4), filled(torch.bfloat16, batch, 0, 5))
    return Outer(blocks=((inner, ()), [filled(torch.bool, batch, 2)]), position=filled(torch.int64, batch))


def assert_equal_states(one, other):
    pairs = list(zip(leaves(one), leaves(other), strict=True))
    assert pairs
    for left, right in pairs:
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert torch.equal(left, right)


def structure(state):
    return type(state) if isinstance(state, torch.Tensor) else (type(state), [structure(part) for part in state])


def test_leaves_come_in_order():
    state = nested()
    expected = [*state.blocks[0][0], *state.blocks[1], state.position]
    assert [id(leaf) for leaf in leaves(state)] == [id(leaf) for leaf in expected]
    assert list(leaves(())) == []


def test_map_keeps_the_structure_and_its_types():
    state = nested()
    mapped = map_state(lambda leaf: leaf[:1], state)
    assert structure(mapped) == structure(state)
    assert mapped.blocks[0][0].hidden.shape == (1, 4)
    assert [tuple(leaf.shape) for leaf in leaves(mapped)] == [(1, 4), (1, 0, 5), (1, 2), (1,)]


@pytest.mark.parametrize(
    ("state", "bits"),
    [
        (torch.zeros(8, 16), 16 * 32),
        (torch.zeros(8, 16, dtype=torch.bfloat16), 16 * 16),
        (torch.zeros(8, 3, 2, dtype=torch.float64), 6 * 64),
        (torch.zeros(5, dtype=torch.int64), 64),
        (torch.zeros(5, 7, dtype=torch.bool), 7 * 8),
        (torch.zeros(2, 3, dtype=torch.complex64), 3 * 64),
        (torch.zeros(4, 0, 6), 0),
        (torch.zeros(0, 16), 16 * 32),
        ((), 0),
        (((), [()]), 0),
        ((torch.zeros(2, 1), (torch.zeros(2, 2, dtype=torch.uint8), ())), 32 + 16),
    ],
    ids=str,
)
def test_bits_of_one_sequence(state, bits):
    assert state_bits(state) == bits


@pytest.mark.parametrize("batch", [0, 1, 3, 17])
def test_bits_do_not_depend_on_the_batch(batch):
    assert state_bits(nested(batch=batch)) == 4 * 32 + 0 + 2 * 8 + 64


@pytest.mark.parametrize("batch", [1, 3])
def test_bits_are_eight_for_every_byte_that_is_written(batch):
    state = nested(batch=batch)
    assert len(to_bytes(state)) * 8 == state_bits(state) * batch


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(3, 5), (1,), (2, 0, 4), (0, 3)])
def test_a_tensor_comes_back_from_its_bytes(dtype, shape):
    state = filled(dtype, *shape)
    assert_equal_states(from_bytes(to_bytes(state), like=torch.zeros_like(state)), state)


@pytest.mark.parametrize("bits", [0x7FC00001, 0xFF800000, 0x80000000, 0x00000001])
def test_every_bit_comes_back_even_of_a_nan(bits):
    state = torch.tensor([bits], dtype=torch.uint32).view(torch.float32)
    back = from_bytes(to_bytes(state), like=state)
    assert back.view(torch.uint32).tolist() == [bits]


def test_a_nested_state_comes_back_from_its_bytes():
    state = nested()
    back = from_bytes(to_bytes(state), like=map_state(torch.zeros_like, state))
    assert structure(back) == structure(state)
    assert_equal_states(back, state)
    assert from_bytes(to_bytes(()), like=()) == ()


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
def test_strides_lazy_bits_and_gradients_do_not_matter(spread):
    assert_equal_states(from_bytes(to_bytes(spread), like=torch.empty(spread.shape, dtype=spread.dtype)), spread)


def test_nothing_shares_memory_with_what_was_written_or_with_like():
    state, like = nested(), nested()
    back = from_bytes(to_bytes(state), like=like)
    before = to_bytes(back)
    for leaf in (*leaves(state), *leaves(like)):
        leaf.zero_()
    assert to_bytes(back) == before
    for leaf in leaves(back):
        leaf.zero_()
    assert len(set(to_bytes(back))) == 1


@pytest.mark.parametrize(("change", "given"), [(-1, 11), (-12, 0), (1, 13), (8, 20)])
def test_bytes_of_another_length_are_refused(change, given):
    content = (to_bytes(torch.ones(3)) + bytes(8))[: 12 + change]
    with pytest.raises(struct.error, match=f"a state of 12 bytes was expected, {given} were given"):
        from_bytes(content, like=torch.ones(3))
