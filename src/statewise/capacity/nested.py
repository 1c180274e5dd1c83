"""States of models by others: tensors in tuples, lists and dicts, nested in any way.

Plain values beside them (None, numbers, texts) belong to the structure: they may not say what was read.
"""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from statewise.core.errors import UsageError

PLAIN = (type(None), bool, int, float, str, torch.dtype, torch.device)


def tensors_of(state: Any, *, like: Any, where: str = "state") -> Iterator[tuple[str, Tensor]]:
    """The tensors of `state` in order, each with its path.

    like  a state whose structure, shapes, dtypes and plain values `state` must have; a UsageError says where it has not

    >>> [path for path, _ in tensors_of({"h": (torch.zeros(1), 3)}, like={"h": (torch.zeros(1), 3)})]
    ["state['h'][0]"]
    """
    if isinstance(like, Tensor):
        if not isinstance(state, Tensor) or (state.shape, state.dtype) != (like.shape, like.dtype):
            raise refusal(where, described(state), described(like))
        yield where, state
    elif isinstance(like, PLAIN):
        if type(state) is not type(like) or state != like:
            raise refusal(where, described(state), described(like))
    else:
        keys = keys_of(like, where)
        if isinstance(state, (Tensor, *PLAIN)) or keys_of(state, where) != keys:
            raise refusal(where, described(state), described(like))
        for key in keys:
            yield from tensors_of(state[key], like=like[key], where=f"{where}[{key!r}]")


def filled(like: Any, tensors: Iterator[Tensor]) -> Any:
    """`like` with its tensors, in order, replaced by `tensors`."""
    if isinstance(like, Tensor):
        return next(tensors)
    if isinstance(like, PLAIN):
        return like
    if isinstance(like, dict):
        made = copy.copy(like)
        made.update((key, filled(part, tensors)) for key, part in like.items())
        return made
    parts = [filled(part, tensors) for part in like]
    return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)


def check_batch(state: Any, batch: int) -> None:
    """Raise a UsageError unless the first axis of every tensor is the batch."""
    for where, leaf in tensors_of(state, like=state):
        if leaf.ndim == 0 or len(leaf) != batch:
            raise UsageError(
                f"capacity: {where} is {described(leaf)} after a batch of {batch} strings; the first axis of every "
                "tensor of a state must be the batch, so transpose it where step returns it"
            )


def keys_of(state: Any, where: str) -> list[Any]:
    """What the parts of a container are reached by."""
    if isinstance(state, dict):
        return list(state)
    if isinstance(state, tuple | list):
        return list(range(len(state)))
    raise UsageError(
        f"capacity: {where} is {described(state)}; a state must be tensors in tuples, lists and dicts, so that all of "
        "it can be counted"
    )


def described(state: Any) -> str:
    """A part of a state, for a message."""
    if isinstance(state, Tensor):
        return f"{tuple(state.shape)} {state.dtype}"
    if isinstance(state, PLAIN):
        return repr(state)
    if isinstance(state, dict):
        return f"a {type(state).__name__} of {', '.join(map(repr, state)) or 'nothing'}"
    if isinstance(state, tuple | list):
        return f"a {type(state).__name__} of {len(state)}"
    return f"a {type(state).__name__}"


def refusal(where: str, got: str, other: str) -> UsageError:
    """The error for a state whose structure depends on what was read."""
    return UsageError(
        f"capacity: {where} is {got} after these strings and {other} after as many symbols 0; only the contents of "
        "tensors may depend on what was read, since they alone are counted"
    )
