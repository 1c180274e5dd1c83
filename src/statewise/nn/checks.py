"""What the drop-ins ask of their arguments: what torch's layers do, with the values and how to mend them."""

import warnings
from typing import Any

import torch
from torch import Tensor

from statewise.core.errors import UsageError


def require_sizes(where: str, **sizes: Any) -> None:
    """Raise a UsageError unless every size is an integer of at least 1.

    >>> require_sizes("MinGRU", input_size=4)
    """
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise UsageError(f"{where}: {name} is {size!r}; it must be an integer of at least 1")


def require_flags(where: str, **flags: Any) -> None:
    """Raise a UsageError unless every flag is a bool.

    >>> require_flags("MinGRU", bias=True)
    """
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise UsageError(f"{where}: {name} is {flag!r}; it must be True or False")


def require_dropout(where: str, dropout: Any, num_layers: int) -> None:
    """Raise a UsageError unless dropout is a probability; warn where there are no two layers for it to stand between.

    >>> require_dropout("MinGRU", 0.5, num_layers=2)
    """
    if not isinstance(dropout, int | float) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise UsageError(f"{where}: dropout is {dropout!r}; it must be a probability, from 0 to 1")
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
            f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            # The caller of the layer's __init__, through RecurrentLayer's.
            stacklevel=4,
        )


def require_input(where: str, x: Any, axes: tuple[str, ...], size: int, dtype: torch.dtype) -> None:
    """Raise a UsageError unless x has these axes and then `size` channels, in the dtype of the weights.

    axes  batch and time in either order, of which the batch may be absent; or the tokens of packed sequences

    >>> require_input("MinGRU", torch.zeros(5, 2, 4), ("time", "batch"), 4, torch.float32)
    """
    if not isinstance(x, Tensor):
        raise UsageError(f"{where}: input is a {type(x).__name__}; pass a torch.Tensor or a PackedSequence")
    dims = (2,) if axes == ("tokens",) else (2, 3)
    if x.dim() not in dims or x.shape[-1] != size:
        alone = f", or (time, {size}) for one sequence" if 3 in dims else ""
        raise UsageError(
            f"{where}: input must be ({', '.join(axes)}, {size}){alone}.\n"
            f"  input  {tuple(x.shape)} {_name(x.dtype)}\n{_mend_input(x, dims, size)}"
        )
    if x.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
        raise UsageError(
            f"{where}: input and weights must have the same dtype.\n"
            f"  input    {_name(x.dtype)}\n  weights  {_name(dtype)}\n"
            f"Convert the input with .to(torch.{_name(dtype)}), or the layer."
        )


def require_state(where: str, state: Any, needed: tuple[int, ...], x: Tensor) -> None:
    """Raise a UsageError unless the initial state has the shape `needed`, and the dtype and the device of x.

    needed  (num_layers · directions, batch, hidden_size), or without the batch

    >>> require_state("MinGRU", torch.zeros(1, 2, 3), (1, 2, 3), torch.zeros(1))
    """
    if not isinstance(state, Tensor):
        raise UsageError(f"{where}: h_0 is a {type(state).__name__}; pass a torch.Tensor of the shape {needed}")
    if state.shape != needed:
        batch = "batch, " * (len(needed) == 3)
        raise UsageError(
            f"{where}: h_0 must be (num_layers · directions, {batch}hidden_size).\n"
            f"  h_0     {tuple(state.shape)}\n  needed  {needed}\n{_mend_state(state, needed)}"
        )
    if state.device != x.device:
        raise UsageError(f"{where}: h_0 is on {state.device} and the input on {x.device}; move it with .to(device)")
    if state.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
        raise UsageError(
            f"{where}: h_0 is {_name(state.dtype)} and the input {_name(x.dtype)}; convert it with .to(dtype)"
        )


def _mend_input(x: Tensor, dims: tuple[int, ...], size: int) -> str:
    if not x.is_floating_point():
        return "Token numbers become vectors with torch.nn.Embedding."
    if x.dim() not in dims:
        return "One vector is a sequence of one token: input[None]. Axes before time and batch: flatten them into one."
    if x.dim() == 3 and x.shape[1] == size:
        return "If the channels are axis 1, pass input.transpose(1, 2)."
    return f"Build the layer with input_size={x.shape[-1]}, or project the input to {size} channels."


def _mend_state(state: Tensor, needed: tuple[int, ...]) -> str:
    if state.dim() != len(needed):
        return "A batch of sequences takes states with a batch axis, one sequence takes states without."
    if len(needed) == 3 and state.transpose(0, 1).shape == needed:
        return "batch_first is about input and output alone: pass h_0.transpose(0, 1)."
    return "Leave hx out for zeros."


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
