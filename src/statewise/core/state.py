"""States: nested tuples of tensors that a model carries from one step to the next.

Every tensor of a state has the batch as its first axis.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from statewise.core.errors import UsageError

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


def named_leaves(state: State, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a state, in order, each with its path of field names and places; a bare tensor's is "state".

    >>> [name for name, _ in named_leaves((torch.zeros(1), (torch.zeros(1), ())))]
    ['0', '1.0']
    """
    if isinstance(state, Tensor):
        yield name or "state", state
        return
    fields = getattr(state, "_fields", None) or map(str, range(len(state)))
    for field, part in zip(fields, state, strict=True):
        yield from named_leaves(part, f"{name}.{field}" if name else field)


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


def detach_state(state: S) -> S:
    """The same values without their history: gradients of what follows end here, and what made them can be freed.

    Between windows of truncated backpropagation this is what keeps memory constant.
    """
    return map_state(Tensor.detach, state)


def move_state(state: S, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> S:
    """The state on another device, or in another dtype; None leaves that as it is.

    dtype  of the floating tensors; complex ones become the complex dtype of as many bits, but no narrower than
           complex64; counters stay integers. What a mixer keeps wider than its inputs is narrowed too

    >>> [leaf.dtype for leaf in move_state((torch.zeros(1), torch.zeros(1, dtype=torch.int64)), dtype=torch.float64)]
    [torch.float64, torch.int64]
    """
    if dtype is not None and not dtype.is_floating_point:
        raise UsageError(f"move_state: dtype is {dtype}; it must be a floating one")

    def move(leaf: Tensor) -> Tensor:
        if dtype is None or not (leaf.is_floating_point() or leaf.is_complex()):
            return leaf.to(device)
        return leaf.to(device, complex_of(dtype) if leaf.is_complex() else dtype)

    return map_state(move, state)


def complex_of(dtype: torch.dtype) -> torch.dtype:
    """The complex dtype whose parts are `dtype`, or float32 where those would be narrower."""
    return torch.complex128 if dtype == torch.float64 else torch.complex64


def gather_states(state: S, rows: Tensor | Sequence[int]) -> S:
    """The states of some sequences of the batch, in any order and as often as they are named.

    rows  places in the batch, (N,) int64: for a beam search, the beam that each kept branch grew from

    >>> gather_states(torch.tensor([[1.0], [2.0]]), [1, 1, 0]).flatten().tolist()
    [2.0, 2.0, 1.0]
    """
    rows = rows if isinstance(rows, Tensor) else torch.tensor(rows, dtype=torch.int64)
    if rows.ndim != 1 or rows.dtype != torch.int64:
        raise UsageError(
            f"gather_states: rows must be int64 of shape (rows,).\n  rows  {tuple(rows.shape)} {rows.dtype}"
        )
    for name, leaf in named_leaves(state):
        # Where rows live on an accelerator, looking at them would wait for it.
        if rows.device.type == "cpu" and bool(((rows < 0) | (rows >= len(leaf))).any()):
            raise UsageError(f"gather_states: rows are {rows.tolist()}; {name} has a batch of {len(leaf)}")
    return map_state(lambda leaf: leaf.index_select(0, rows.to(leaf.device)), state)


def batch_states(states: Sequence[S]) -> S:
    """One state whose batch is that of all `states`, one after the other.

    They must have the same structure, and shapes that differ in the batch alone: the caches of attention layers
    that have read different numbers of tokens cannot be put together.

    >>> batch_states([torch.zeros(1, 4), torch.ones(2, 4)]).shape
    torch.Size([3, 4])
    """
    if not states:
        raise UsageError("batch_states: there are no states; pass at least one")
    tables = [dict(named_leaves(state)) for state in states]
    for number, table in enumerate(tables):
        if list(table) != list(tables[0]):
            raise UsageError(
                "batch_states: states of different structure.\n"
                f"  state 0  {spoken(tables[0])}\n  state {number}  {spoken(table)}"
            )
        for name, leaf in table.items():
            _require_one_kind(name, number, leaf, tables[0][name])
    joined = (torch.cat([table[name] for table in tables]) for name in tables[0])
    return map_state(lambda _: next(joined), states[0])


def spoken(table: Iterable[str]) -> str:
    """The names of a state's tensors, for a message."""
    return ", ".join(table) or "no tensors"


def _require_one_kind(name: str, number: int, leaf: Tensor, first: Tensor) -> None:
    """Raise a UsageError unless a tensor of state `number` can stand behind that of state 0."""
    if leaf.shape[1:] == first.shape[1:] and leaf.dtype == first.dtype:
        return
    raise UsageError(
        f"batch_states: {name} is {tuple(leaf.shape)} {leaf.dtype} in state {number} and {tuple(first.shape)} "
        f"{first.dtype} in state 0; only the batch, axis 0, may differ. A cache is as long as what was read: read "
        "sequences of different lengths as one batch, left-padded (statewise.core.padding.left_padding_reset)."
    )


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
