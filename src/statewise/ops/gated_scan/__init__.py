"""minGRU and minLSTM from their pre-activations: gates, candidate and scan in one pass over memory.

README.md beside this file has the equations, what moves in memory and which kernel runs when.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.ops.checks import require_scan, require_tensors
from statewise.ops.forward_mode import apply_in_reverse
from statewise.ops.gated_scan.gates import GATES, NAMES, Gates, MinGru, MinLstm, require_activation
from statewise.ops.gated_scan.raw import NO_GRADIENT, backward_op, forward_op

__all__ = ["min_gru_scan", "min_gru_scan_packed", "min_lstm_scan", "min_lstm_scan_packed"]

FOLDER = "gated_scan"


def min_gru_scan(
    gate: Tensor,
    candidate: Tensor,
    initial: Tensor | None = None,
    *,
    reset: Tensor | None = None,
    activation: str = "g",
    kernel: str | None = None,
) -> tuple[Tensor, Tensor]:
    """All states of h_t = (1 − z_t) h_{t−1} + z_t c_t with z = σ(gate), c = activation(candidate), and the last one.

    gate, candidate  (B, T, D) pre-activations, float32, float64, bfloat16 (float16 too, without a C++ kernel)
    initial          (B, D) h_0 in the same dtype; zeros where absent
    reset            (B, T) bool; true where the state before the token is zero (not `initial`)
    activation       g (u + 1/2 for u ≥ 0, σ(u) below), tanh or identity
    kernel           one of `available_kernels()`; None takes what `choose_kernel` says

    Returns states (B, T, D) and final (B, D) in the dtype of gate; computed in at least float32. T = 0 gives no states
    and the initial state. Any strides are read; channels that are not contiguous cost a copy. Reads 2 N numbers and
    writes N = B·T·D; the backward reads 4 N and writes 2 N, side by side, so that who needs gate and candidate apart
    and contiguous pays a copy then. The same bits at any number of threads.

    Differentiable once, in gate, candidate and initial, from states and final. Second derivatives, forward mode,
    and shapes, dtypes, devices or names that do not fit are UsageErrors.

    Source: Feng et al., arXiv 2410.01201, §3.1, the recurrence computed directly.

    >>> states, final = min_gru_scan(torch.zeros(1, 2, 1), torch.ones(1, 2, 1), activation="identity")
    >>> states.flatten().tolist(), final.tolist()
    ([0.5, 0.75], [[0.75]])
    """
    gates = MinGru(require_activation("min_gru_scan", activation))
    return _scan(gates, (gate, candidate), initial, reset, kernel)


def min_gru_scan_packed(
    pre: Tensor,
    initial: Tensor | None = None,
    *,
    reset: Tensor | None = None,
    activation: str = "g",
    kernel: str | None = None,
) -> tuple[Tensor, Tensor]:
    """`min_gru_scan` of pre (B, T, 2·D) = gate, then candidate along the channels: what one projection gives.

    Neither direction copies anything.

    >>> min_gru_scan_packed(torch.zeros(1, 2, 2))[0].flatten().tolist()
    [0.25, 0.375]
    """
    gates = MinGru(require_activation("min_gru_scan_packed", activation))
    return _scan_packed("min_gru_scan_packed", gates, pre, initial, reset, kernel)


def min_lstm_scan(
    forget: Tensor,
    input: Tensor,  # noqa: A002  the gate's name in every LSTM
    candidate: Tensor,
    initial: Tensor | None = None,
    *,
    reset: Tensor | None = None,
    activation: str = "g",
    normalise: bool = True,
    kernel: str | None = None,
) -> tuple[Tensor, Tensor]:
    """All states of h_t = f_t h_{t−1} + i_t c_t with f = σ(forget), i = σ(input), c = activation(candidate).

    normalise   divide f and i by their sum, so that they are shares; where both vanish, the shares of their limit
    All else    as in `min_gru_scan`. Reads 3 N numbers, writes N; the backward reads 5 N, writes 3 N.

    Source: Feng et al., arXiv 2410.01201, §3.2.

    >>> zero, one = torch.zeros(1, 2, 1), torch.ones(1, 2, 1)
    >>> min_lstm_scan(zero, zero, one, activation="identity")[0].flatten().tolist()
    [0.5, 0.75]
    """
    gates = MinLstm(require_activation("min_lstm_scan", activation), normalise=normalise)
    return _scan(gates, (forget, input, candidate), initial, reset, kernel)


def min_lstm_scan_packed(
    pre: Tensor,
    initial: Tensor | None = None,
    *,
    reset: Tensor | None = None,
    activation: str = "g",
    normalise: bool = True,
    kernel: str | None = None,
) -> tuple[Tensor, Tensor]:
    """`min_lstm_scan` of pre (B, T, 3·D) = forget, input, candidate along the channels; copies nothing.

    >>> min_lstm_scan_packed(torch.zeros(1, 2, 3))[0].flatten().tolist()
    [0.25, 0.375]
    """
    gates = MinLstm(require_activation("min_lstm_scan_packed", activation), normalise=normalise)
    return _scan_packed("min_lstm_scan_packed", gates, pre, initial, reset, kernel)


def _scan(
    gates: Gates, inputs: tuple[Tensor, ...], initial: Tensor | None, reset: Tensor | None, kernel: str | None
) -> tuple[Tensor, Tensor]:
    named = dict(zip(gates.inputs, inputs, strict=True))
    require_scan(gates.kernel, named, initial, reset, kernel, real=True)
    arguments = (NAMES[gates], initial, reset, kernel, *_three(inputs))
    states, final = apply_in_reverse(gates.kernel, FOLDER, GatedScan, *arguments)
    return states, final


def _scan_packed(
    where: str, gates: Gates, pre: Tensor, initial: Tensor | None, reset: Tensor | None, kernel: str | None
) -> tuple[Tensor, Tensor]:
    require_tensors(where, pre=pre)
    count = len(gates.inputs)
    if pre.ndim != 3 or pre.shape[-1] % count:
        raise UsageError(
            f"{where}: pre must be (B, T, {count}·D), {', '.join(gates.inputs)} side by side.\n"
            f"  pre  {tuple(pre.shape)}"
        )
    require_scan(where, {"pre": pre[..., : pre.shape[-1] // count]}, initial, reset, kernel, real=True)
    arguments = (NAMES[gates], initial, reset, kernel, *_three((pre,)))
    states, final = apply_in_reverse(where, FOLDER, GatedScan, *arguments)
    return states, final


class GatedScan(torch.autograd.Function):
    """The scan of pre-activations that come one by one, or side by side in one tensor.

    Always three of them, None where there are fewer: without gradients Dynamo tells by the number of parameters whether
    to pass the context, and `*inputs` counts as one.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        gates: str,
        initial: Tensor | None,
        reset: Tensor | None,
        kernel: str | None,
        first: Tensor,
        second: Tensor | None,
        third: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """(states, final)."""
        states, final = forward_op(gates, _apart(gates, first, second, third), initial, reset, kernel)
        return states, final

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep the pre-activations and the states; gates are computed again."""
        ctx.gates, initial, reset, ctx.kernel, *pre = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(initial, reset, output[0], *pre)

    @staticmethod
    def backward(ctx: Any, grad_states: Tensor | None, grad_final: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of initial and of the pre-activations."""
        initial, reset, states, *pre = ctx.saved_tensors
        if grad_states is None and grad_final is None:
            return (None,) * 7
        arguments = (ctx.gates, states, initial, reset, grad_states, grad_final, ctx.kernel, *pre)
        packed, grad_initial = GatedScanBackward.apply(*arguments)  # type: ignore[no-untyped-call]
        count = sum(each is not None for each in pre)
        on_pre = (packed,) if count == 1 else packed.chunk(count, dim=-1)
        return None, None if initial is None else grad_initial, None, None, *_three(on_pre)


class GatedScanBackward(torch.autograd.Function):
    """Its gradient, which has none."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        gates: str,
        states: Tensor,
        initial: Tensor | None,
        reset: Tensor | None,
        grad_states: Tensor | None,
        grad_final: Tensor | None,
        kernel: str | None,
        first: Tensor,
        second: Tensor | None,
        third: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """(the pre-activations' gradients side by side, grad_initial)."""
        inputs = _apart(gates, first, second, third)
        packed, grad_initial = backward_op(gates, inputs, states, initial, reset, grad_states, grad_final, kernel)
        return packed, grad_initial

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        """Refuse."""
        raise UsageError(NO_GRADIENT)


def _apart(gates: str, *pre: Tensor | None) -> list[Tensor]:
    """The pre-activations one by one."""
    given = [each for each in pre if each is not None]
    count = len(GATES[gates].inputs)
    return given if len(given) == count else list(given[0].chunk(count, dim=-1))


def _three(tensors: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """The tensors, then None up to three."""
    return (*tensors, *(None,) * (3 - len(tensors)))
