"""States: nested tuples of tensors that a model carries from one step to the next.

Every tensor of a state has the batch as its first axis.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

S = TypeVar("S")
State = Any
"""A tensor, or a (named) tuple of states. Recursive, so its checkable form is `leaves`."""


def leaves(state: State) -> Iterator[Tensor]:
    """The tensors of a state, in order.

    >>> len(list(leaves((torch.zeros(1), (torch.zeros(1), ())))))
    2
    """
    if isinstance(state, Tensor):
        yield state
        return
    for part in state:
        yield from leaves(part)


def map_state(function: Callable[[Tensor], Tensor], state: S) -> S:
    """A state of the same structure with `function` applied to every tensor."""
    if isinstance(state, Tensor):
        return function(state)  # type: ignore[return-value]
    parts = [map_state(function, part) for part in state]  # type: ignore[attr-defined]
    return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)  # type: ignore[call-arg]


def state_bits(state: State) -> int:
    """Bits carried for one sequence: the bits of every tensor, divided by the batch.

    Position counters are included. A state without tensors holds 0 bits.

    >>> state_bits((torch.zeros(8, 16), torch.zeros(8, 16)))
    1024
    """
    return sum(8 * leaf.element_size() * leaf.shape[1:].numel() for leaf in leaves(state))


def to_bytes(state: State) -> bytes:
    """The state as bytes: each tensor's raw contents in order, and nothing else.

    With `from_bytes` this is the only road by which the meter hands a state to a fresh model, so nothing that
    is not counted can carry information across.
    """
    return b"".join(
        leaf.detach().cpu().resolve_conj().resolve_neg().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        for leaf in leaves(state)
    )


def from_bytes(content: bytes, like: S) -> S:
    """The state that `to_bytes` wrote, in the structure, shapes and dtypes of `like`.

    Bytes of another length are a struct.error.
    """
    needed = sum(leaf.numel() * leaf.element_size() for leaf in leaves(like))
    if needed != len(content):
        raise struct.error(f"a state of {needed} bytes was expected, {len(content)} were given")
    offset = 0

    def read(leaf: Tensor) -> Tensor:
        nonlocal offset
        size = leaf.numel() * leaf.element_size()
        piece = bytearray(content[offset : offset + size])
        offset += size
        if not piece:
            return torch.empty_like(leaf)
        return torch.frombuffer(piece, dtype=leaf.dtype).reshape(leaf.shape)

    return map_state(read, like)
