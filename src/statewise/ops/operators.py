"""Operators of torch.library, which compilers, exporters and vmap take as they are: no gradients, no checks.

Defined through `Library` rather than `custom_op`, whose first call imports the compiler (a second or two).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from statewise.core.errors import UsageError

LIBRARY = torch.library.Library("statewise", "DEF")


def define(
    schema: str, implementation: Callable[..., Any], fake: Callable[..., Any], *, no_gradient: str
) -> OpOverload:
    """The operator statewise::name of `schema`, such as "f(Tensor x) -> Tensor", for tensors on any device.

    implementation  returns fresh tensors, neither views of its inputs nor of each other
    fake            returns tensors of the same shapes and dtypes, without looking at values
    no_gradient     what the UsageError says to who differentiates the operator itself; the front doors, which have
                    gradients, run it where autograd does not look

    Under vmap the mapped axis is folded into the batch, which is axis 0 of every tensor that goes in or comes out.
    """
    name = schema.partition("(")[0]
    LIBRARY.define(schema)
    LIBRARY.impl(name, implementation, "CompositeExplicitAutograd")
    torch.library.register_fake(f"statewise::{name}", fake, lib=LIBRARY)
    operator: OpOverload = getattr(torch.ops.statewise, name).default

    def refuse(*_: object) -> None:
        raise UsageError(no_gradient)

    torch.library.register_autograd(f"statewise::{name}", refuse, lib=LIBRARY)

    def over_folded_batch(info: Any, in_dims: Any, *arguments: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        folded = [_fold(value, dim, info.batch_size) for value, dim in zip(arguments, in_dims, strict=True)]
        outputs = tuple(output.unflatten(0, (info.batch_size, -1)) for output in operator(*folded))
        return outputs, (0,) * len(outputs)

    torch.library.register_vmap(f"statewise::{name}", over_folded_batch, lib=LIBRARY)
    return operator


def _fold(value: Any, dim: Any, size: int) -> Any:
    """(size, B, …) as (size·B, …), in lists too. A tensor that is not mapped is repeated; other values stay."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        dims = dim if isinstance(dim, Sequence) else [dim] * len(value)
        return [_fold(each, along, size) for each, along in zip(value, dims, strict=True)]
    if not isinstance(value, Tensor):
        return value
    mapped = value.expand(size, *value.shape) if dim is None else value.movedim(dim, 0)
    return mapped.flatten(0, 1)
