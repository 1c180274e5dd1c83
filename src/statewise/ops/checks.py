"""What every front door asks of its tensors, in one wording."""

from typing import Any

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.ops.choice import require_kernel


def require_scan(
    where: str,
    values: dict[str, Tensor],
    initial: Tensor | None,
    reset: Tensor | None,
    kernel: str | None,
    *,
    real: bool = False,
) -> None:
    """Raise a UsageError unless the arguments of a scan fit together.

    values   (B, T, D) each, by name
    initial  (B, D), reset (B, T) bool, or None
    real     no complex dtype

    >>> require_scan("linear_scan", {"drive": torch.zeros(1, 2, 3)}, torch.zeros(1, 3), None, "cpu")
    """
    given = values if initial is None else {**values, "initial": initial}
    masks = {} if reset is None else {"reset": reset}
    require_tensors(where, **given, **masks)
    require_same_shape(where, "(B, T, D)", **values)
    first = next(iter(values.values()))
    batch, length, channels = first.shape
    require_same_dtype(where, real=real, **given)
    require_same_device(where, **given, **masks)
    if initial is not None:
        how = "One state for all sequences: initial.expand(B, D)."
        require_shape(where, "initial", initial, (batch, channels), "(B, D)", how)
    if reset is not None:
        require_bool(where, "reset", reset)
        require_shape(where, "reset", reset, (batch, length), "(B, T)", "One flag for every token of every sequence.")
    if kernel is not None:
        require_kernel(where, kernel, device=first.device, dtype=first.dtype)


def require_matrix_scan(
    where: str,
    keys: dict[str, Tensor],
    value: Tensor,
    log_decay: Tensor | None,
    initial: Tensor | None,
    reset: Tensor | None,
) -> None:
    """Raise a UsageError unless the arguments of a scan with a state of matrices fit together.

    keys       (B, T, H, K) each, by name: queries are among them; H may be 1 for all heads
    value      (B, T, H, V)
    log_decay  (B, T, H) or (B, T, H, K), initial (B, H, K, V) in the accumulation dtype, reset (B, T) bool, or None

    >>> key, value = torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 5)
    >>> require_matrix_scan("matrix_scan", {"key": key}, value, torch.zeros(1, 2, 3), torch.zeros(1, 3, 4, 5), None)
    """
    states = {} if initial is None else {"initial": initial}
    decays = {} if log_decay is None else {"log_decay": log_decay}
    masks = {} if reset is None else {"reset": reset}
    require_tensors(where, **keys, value=value, **decays, **states, **masks)
    require_same_shape(where, "(B, T, H, K)", **keys)
    key = next(iter(keys.values()))
    require_same_dtype(where, real=True, **keys, value=value)
    require_same_device(where, **keys, value=value, **decays, **states, **masks)
    batch, length, heads, channels = key.shape
    if value.ndim == 4 and heads == 1:
        heads = value.shape[2]
    values = value.shape[-1]
    needed = (batch, length, heads, values)
    require_shape(where, "value", value, needed, "(B, T, H, V)", "Time is axis 1, heads are axis 2.")
    if log_decay is not None and log_decay.ndim != 4:
        how = "One log decay for each head; for each key channel it is (B, T, H, K)."
        require_shape(where, "log_decay", log_decay, (batch, length, heads), "(B, T, H)", how)
    elif log_decay is not None:
        how = "Or one for each head, (B, T, H)."
        require_shape(where, "log_decay", log_decay, (batch, length, heads, channels), "(B, T, H, K)", how)
    if initial is not None:
        needed = (batch, heads, channels, values)
        require_shape(
            where, "initial", initial, needed, "(B, H, K, V)", "Pass the state that an earlier call returned."
        )
        wide = accumulation_dtype(value.dtype)
        if initial.dtype != wide:
            raise UsageError(
                f"{where}: initial must be {_dtype_name(wide)} beside values of {_dtype_name(value.dtype)}; it is "
                f"{_dtype_name(initial.dtype)}"
            )
    if reset is not None:
        require_bool(where, "reset", reset)
        require_shape(where, "reset", reset, (batch, length), "(B, T)", "One flag for every token of every sequence.")


def require_tensors(where: str, **values: Any) -> None:
    """Raise a UsageError naming the first value that is not a tensor.

    >>> require_tensors("linear_scan", drive=torch.zeros(1))
    """
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise UsageError(f"{where}: {name} is a {type(value).__name__}; pass a torch.Tensor")


def require_same_shape(where: str, axes: str, **tensors: Tensor) -> None:
    """Raise a UsageError unless the tensors have one shape with as many axes as `axes` names, such as (B, T, D).

    >>> require_same_shape("linear_scan", "(B, D)", decay=torch.zeros(1, 2), drive=torch.zeros(1, 2))
    """
    first, *others = tensors.values()
    # Compared, not collected in a set: hashing a size would pin it while a compiler traces.
    if first.dim() == axes.count(",") + 1 and all(tensor.shape == first.shape for tensor in others):
        return
    raise UsageError(
        f"{where}: {' and '.join(tensors)} must have the same shape {axes}.\n"
        f"{_listing({name: tuple(tensor.shape) for name, tensor in tensors.items()})}\n"
        f"{_advice(*tensors.items())}"
    )


def require_shape(where: str, name: str, tensor: Tensor, needed: tuple[int, ...], axes: str, how: str) -> None:
    """Raise a UsageError that ends with `how` unless `tensor` has the shape `needed`, whose axes are `axes`.

    >>> require_shape("linear_scan", "initial", torch.zeros(1, 2), (1, 2), "(B, D)", "Pass zeros.")
    """
    if tensor.shape != needed:
        raise UsageError(
            f"{where}: {name} must have the shape {axes}.\n"
            f"{_listing({name: tuple(tensor.shape), 'needed': needed})}\n{how}"
        )


def require_same_dtype(where: str, *, real: bool = False, **tensors: Tensor) -> None:
    """Raise a UsageError unless the tensors have one dtype, floating point, or complex where `real` is false.

    >>> require_same_dtype("linear_scan", decay=torch.zeros(1), drive=torch.zeros(1))
    """
    dtypes = {tensor.dtype for tensor in tensors.values()}
    if len(dtypes) == 1 and all(dtype.is_floating_point or (dtype.is_complex and not real) for dtype in dtypes):
        return
    kind = "real floating-point" if real else "floating-point"
    raise UsageError(
        f"{where}: {' and '.join(tensors)} must have the same {kind} dtype.\n"
        f"{_listing({name: _dtype_name(tensor.dtype) for name, tensor in tensors.items()})}\n"
        "Convert with .to(dtype); under autocast, all of them."
    )


def require_bool(where: str, name: str, tensor: Tensor) -> None:
    """Raise a UsageError unless the tensor is bool.

    >>> require_bool("linear_scan", "reset", torch.zeros(1, dtype=torch.bool))
    """
    if tensor.dtype != torch.bool:
        raise UsageError(
            f"{where}: {name} must be bool.\n"
            f"{_listing({name: f'{_dtype_name(tensor.dtype)} {tuple(tensor.shape)}'})}\nConvert with {name} != 0."
        )


def require_same_device(where: str, **tensors: Tensor) -> None:
    """Raise a UsageError unless the tensors are on one device.

    >>> require_same_device("linear_scan", decay=torch.zeros(1), drive=torch.zeros(1))
    """
    if len({tensor.device for tensor in tensors.values()}) > 1:
        raise UsageError(
            f"{where}: {' and '.join(tensors)} must be on the same device.\n"
            f"{_listing({name: str(tensor.device) for name, tensor in tensors.items()})}\nMove with .to(device)."
        )


def _advice(*tensors: tuple[str, Tensor]) -> str:
    """How to bring the last tensor to the first one's shape, where the shapes tell."""
    (first, like), (name, tensor) = tensors[0], tensors[-1]
    if like.dim() != 3 or tensor.dim() != 3:
        return f"Time is axis 1. One sequence (T, D) becomes a batch with {name}.unsqueeze(0)."
    if like.shape == tensor.transpose(1, 2).shape:
        return f"Time is axis 1. If {name} is channels-first, pass {name}.transpose(1, 2)."
    return f"Time is axis 1. Repeat without a copy: {name}.expand_as({first}), or the other way round."


def _listing(rows: dict[str, Any]) -> str:
    """Names and values in two columns, one row a line."""
    width = max(map(len, rows))
    return "\n".join(f"  {name:{width}}  {value}" for name, value in rows.items())


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
