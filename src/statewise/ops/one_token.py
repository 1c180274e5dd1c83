"""What stands around the matrix products of one decoded token, in C++ (csrc/one_token.cpp), for inference alone.

A token costs a recurrent layer few sums and many calls: each operation of torch takes microseconds before it begins.
The mixers' own composition of them is the definition, and what is differentiated, transformed and compiled.

B batch, E channels, K taps, N states of each channel.
"""

import struct
from functools import cache

import torch
from torch import Tensor
from torch.autograd import forward_ad

from statewise import _kernels
from statewise.ops.choice import instruction_set

DTYPES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
PLAIN = (torch.Tensor, torch.nn.Parameter)
ABSENT = (0, 0, 0)


def infers(first: Tensor, *others: Tensor | None) -> bool:
    """Whether these kernels may run: plain tensors of one dtype on the CPU that nobody differentiates or traces.

    What is not contiguous along its last axis is left to torch as well.

    >>> infers(torch.zeros(1))
    False
    >>> with torch.no_grad():
    ...     infers(torch.zeros(1)), infers(torch.zeros(1), torch.zeros(1, dtype=torch.float64))
    (True, False)
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    # Neither question has a public form: whether a transform of torch.func, or forward mode, is under way.
    if torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0:
        return False
    dtype = first.dtype
    return dtype in DTYPES and all(tensor is None or takes(tensor, dtype) for tensor in (first, *others))


def takes(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether a kernel for a dtype reads a tensor in place."""
    return (
        tensor.dtype is dtype
        and type(tensor) in PLAIN
        and tensor.is_cpu
        and tensor.stride(-1) == 1
        and not tensor.is_neg()
    )


def causal_conv_step(
    x: Tensor, window: Tensor, weight: Tensor, bias: Tensor | None, *, silu: bool
) -> tuple[Tensor, Tensor]:
    """The output (B, E) of a causal convolution, SiLU of it where asked, and the window (B, K−1, E) after it.

    x       (B, E) or wider: its first E columns
    window  (B, K−1, E), oldest first
    weight  (K, E), newest first
    bias    (E,)

    All such as `infers` says yes to; nothing is checked. Sums are taken in at least float32.

    >>> with torch.no_grad():
    ...     causal_conv_step(torch.ones(1, 1), torch.ones(1, 1, 1), torch.tensor([[1.0], [10.0]]), None, silu=False)[0]
    tensor([[11.]])
    """
    batch, channels = x.shape[0], weight.shape[1]
    output, after = x.new_empty(batch, channels), torch.empty_like(window)
    run(
        "causal_conv_step",
        x.dtype,
        (batch, weight.shape[0], channels),
        int(silu),
        [row(x), rows(window), row(weight), ABSENT if bias is None else vector(bias), row(output), rows(after)],
    )
    return output, after


def selective_state_update(
    u: Tensor,
    selected: Tensor,
    step_weight: Tensor,
    step_bias: Tensor,
    log_rates: Tensor,
    skip: Tensor,
    z: Tensor,
    state: Tensor,
) -> tuple[Tensor, Tensor]:
    """(C_t x' + skip ⊙ u) ⊙ SiLU(z) (B, E) and x' = exp(−δ eᵃ) x + δ B_t u (B, E, N), with δ = softplus(W r + bias).

    u                (B, E)
    selected         (B, R+2N), r, B_t and C_t
    step_weight      (E, R), W
    step_bias, skip  (E,)
    log_rates        (E, N), a
    z                (B, E) or wider: its last E columns
    state            (B, E, N), in at least float32

    All but the state such as `infers` says yes to, the state such as `takes` does; nothing is checked.

    >>> one = torch.ones(1, 1)
    >>> with torch.no_grad():
    ...     y, state = selective_state_update(
    ...         one, torch.ones(1, 3), one, 0 * one[0], one, one[0], 0 * one, torch.zeros(1, 1, 1)
    ...     )
    >>> y.tolist(), round(state.item(), 4)
    ([[0.0]], 1.3133)
    """
    output, after = torch.empty_like(u), torch.empty_like(state)
    address, stride, _ = row(z)
    gate = (address + (z.shape[1] - u.shape[1]) * z.element_size(), stride, 0)
    places = [row(u), row(selected), row(step_weight), vector(step_bias), row(log_rates), vector(skip), gate]
    shape, rank = tuple(state.shape), step_weight.shape[1]
    run("selective_state_update", u.dtype, shape, rank, [*places, rows(state), row(output), rows(after)])
    return output, after


def rms_norm(x: Tensor, weight: Tensor | None, epsilon: float) -> Tensor:
    """x (B, E) over the root of its mean square and epsilon, times the weight (E,); such as `infers` says yes to.

    >>> rms_norm(torch.tensor([[3.0, -3.0]]), None, 0.0).tolist()
    [[1.0, -1.0]]
    """
    batch, channels = x.shape
    output = torch.empty_like(x)
    scale = ABSENT if weight is None else vector(weight)
    run("rms_norm", x.dtype, (batch, 1, channels), bits_of(epsilon), [row(x), scale, row(output)])
    return output


@cache
def bits_of(number: float) -> int:
    """A number's bits in double precision, as kernels take it among their whole numbers."""
    bits: int = struct.unpack("<q", struct.pack("<d", number))[0]
    return bits


Place = tuple[int, int, int]


def vector(tensor: Tensor) -> Place:
    """Where (E,) lies."""
    return tensor.data_ptr(), 0, 0


def row(tensor: Tensor) -> Place:
    """Where (B, E) lies."""
    return tensor.data_ptr(), tensor.stride(0), 0


def rows(tensor: Tensor) -> Place:
    """Where (B, K, E) lies."""
    return tensor.data_ptr(), tensor.stride(0), tensor.stride(1)


def run(name: str, dtype: torch.dtype, shape: tuple[int, ...], option: int, places: list[Place]) -> None:
    """A kernel, without what `cpu.run` asks of tensors that anybody may pass: that would take longer than it does."""
    _kernels.run(instruction_set("cpu"), name, DTYPES[dtype], torch.get_num_threads(), shape, [option], places)  # type: ignore[arg-type]
