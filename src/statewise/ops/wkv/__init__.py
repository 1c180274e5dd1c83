"""RWKV-4's average of values, weighted by the exponentials of keys that decay, as a function with gradients.

README.md beside this file has the equations, the work and which form runs when.
"""

from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError, pick
from statewise.ops.checks import (
    require_bool,
    require_same_device,
    require_same_dtype,
    require_same_shape,
    require_shape,
    require_tensors,
)
from statewise.ops.wkv import reference, scans
from statewise.ops.wkv.reference import WKVState

__all__ = ["WKVState", "wkv"]

NAME = "wkv"
FORMS = {"scans": scans.wkv, "reference": reference.wkv}


def wkv(
    decay: Tensor,
    bonus: Tensor,
    key: Tensor,
    value: Tensor,
    initial: WKVState | None = None,
    *,
    reset: Tensor | None = None,
    kernel: str | None = None,
) -> tuple[Tensor, WKVState]:
    """For every token the average of all values so far, and the state after the last.

    A value of i tokens ago weighs e^{k + (i − 1) w}, the token's own e^{k + u}.

    decay    (D,) w, the log decay: at most 0 to forget, as −e^{…} in RWKV-4
    bonus    (D,) u
    key      (B, T, D) k, real floating point, finite, of any size: no exponent taken is positive
    value    (B, T, D) of the same dtype
    initial  the state that an earlier call returned, in at least float32; None where nothing came before
    reset    (B, T) bool; true where a sequence starts: what came before the token is forgotten
    kernel   scans (three scans over time, on any device) or reference (the loop); None is scans

    decay and bonus may have another floating dtype. Returns outputs (B, T, D) in the dtype of value and a state of
    3·D numbers in at least float32. T = 0 gives no outputs and the initial state. B·T·D work and numbers kept for the
    backward, some twenty of each. An output depends on the tokens up to its own bit by bit.

    Differentiable in every floating tensor, from outputs and from the state, to any order in reverse mode. Shapes,
    dtypes, devices or a kernel that do not fit are UsageErrors.

    Source: Peng et al., "RWKV: Reinventing RNNs for the Transformer Era", arXiv 2305.13048, §3 (the WKV operator).

    >>> import torch
    >>> zero, value = torch.zeros(1), torch.tensor([1.0, 3.0]).reshape(1, 2, 1)
    >>> outputs, state = wkv(zero, zero, torch.zeros(1, 2, 1), value)
    >>> outputs.flatten().tolist(), state.denominator.item()
    ([1.0, 2.0], 2.0)
    """
    require_wkv(decay, bonus, key, value, initial, reset)
    form = FORMS["scans"] if kernel is None else pick(f"kernel of {NAME}", kernel, FORMS)
    return form(decay, bonus, key, value, initial, reset)


def require_wkv(
    decay: Tensor, bonus: Tensor, key: Tensor, value: Tensor, initial: WKVState | None, reset: Tensor | None
) -> None:
    """Raise a UsageError unless the arguments fit together."""
    rates = {"decay": decay, "bonus": bonus}
    parts = {} if initial is None else dict(zip(WKVState._fields, initial, strict=True))
    masks = {} if reset is None else {"reset": reset}
    require_tensors(NAME, **rates, key=key, value=value, **parts, **masks)
    require_same_shape(NAME, "(B, T, D)", key=key, value=value)
    require_same_dtype(NAME, real=True, key=key, value=value)
    require_same_device(NAME, key=key, value=value, **rates, **parts, **masks)
    batch, length, channels = key.shape
    for name, rate in rates.items():
        require_shape(NAME, name, rate, (channels,), "(D,)", "One number for each channel.")
    for name, part in parts.items():
        how = "Pass the state that an earlier call returned."
        require_shape(NAME, f"initial.{name}", part, (batch, channels), "(B, D)", how)
    wide = accumulation_dtype(value.dtype)
    if any(part.dtype != wide for part in parts.values()):
        got = ", ".join(f"{name} {part.dtype}" for name, part in parts.items())
        raise UsageError(f"{NAME}: the initial state must be {wide} beside values of {value.dtype}; it is {got}")
    if reset is not None:
        require_bool(NAME, "reset", reset)
        require_shape(NAME, "reset", reset, (batch, length), "(B, T)", "One flag for every token of every sequence.")
