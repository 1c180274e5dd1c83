"""One long sequence over several processes: the scans of `statewise.ops`, each rank holding a piece of the tokens.

    from statewise.ops import across_ranks
    states, final = across_ranks.linear_scan(decay, drive)      # this rank's tokens; ranks in the order of time

Every front door takes what its namesake takes, for this rank's piece, and `group`. What all have in common:

pieces   rank 0 has the first tokens. T may differ from rank to rank and be 0; all else must be the same
initial  the state before the whole sequence. It is read on rank 0; on others it may be given and is not looked at: its
         gradient there is zero
reset    of this rank's piece: true where a sequence starts, which cuts what came before, on earlier ranks too
group    a process group of torch.distributed; None is the default one, or this process alone where torch.distributed is
         not in use
returns  the outputs of this rank's piece; the final state of the whole sequence on every rank, with the same bits

Gradients are those of the sum of all ranks' losses: a cotangent on `final` counts on every rank that has one, and those
of parameters (A of `selective_scan`, decay and bonus of `wkv`) are this rank's share, to be added up over ranks. Where
any rank's tensors want gradients, the outputs of all do, and *every rank must go back*, through its outputs or its
final state: the way back is an exchange like the way there. Once only: derivatives of higher order, and forward mode,
are UsageErrors. Not for torch.compile, torch.func or vmap.

A rank other than 0 scans its piece twice each way. README.md beside this file has the equations and the bytes;
docs/scale-one-sequence.md says when it pays.

A UsageError on every rank, before any waits for another: ranks that disagree on batch, channels, dtype, type of device
or options, or one that refuses its own arguments or sits on a device that the group's backend cannot send. On one rank:
torch.distributed not initialised under a launcher of several processes, or a rank outside the group.
"""

from torch import Tensor
from torch.distributed import ProcessGroup

from statewise.ops.across_ranks.averages import WKV, Softmax
from statewise.ops.across_ranks.diagonal import Gated, Linear, Selective
from statewise.ops.across_ranks.exchange import find_world
from statewise.ops.across_ranks.scan import scan
from statewise.ops.gated_scan import min_gru_scan as min_gru_scan_alone
from statewise.ops.gated_scan import min_lstm_scan as min_lstm_scan_alone
from statewise.ops.gated_scan.gates import MinGru, MinLstm, require_activation
from statewise.ops.linear_scan import linear_scan as linear_scan_alone
from statewise.ops.selective_scan import selective_scan as selective_scan_alone
from statewise.ops.softmax_scan import SoftmaxState
from statewise.ops.softmax_scan import softmax_scan as softmax_scan_alone
from statewise.ops.wkv import WKVState
from statewise.ops.wkv import wkv as wkv_alone

__all__ = ["linear_scan", "min_gru_scan", "min_lstm_scan", "selective_scan", "softmax_scan", "wkv"]


def linear_scan(
    decay: Tensor,
    drive: Tensor,
    initial: Tensor | None = None,
    *,
    reset: Tensor | None = None,
    kernel: str | None = None,
    group: ProcessGroup | None = None,
) -> tuple[Tensor, Tensor]:
    """`ops.linear_scan` of this rank's piece of a sequence; real or complex.

    Decays whose product over a piece overflows give states that are not finite. Sends B·(2 D + 1) numbers on the way
    there and 2·B·D on the way back, in at least float32; complex ones count twice.

    >>> import torch
    >>> decay, drive = torch.full((1, 3, 1), 0.5), torch.ones(1, 3, 1)
    >>> states, final = linear_scan(decay, drive)
    >>> states.flatten().tolist(), final.tolist()
    ([1.0, 1.5, 1.75], [[1.75]])
    """
    world = find_world("linear_scan", group)
    if world.size == 1:
        return linear_scan_alone(decay, drive, initial, reset=reset, kernel=kernel)
    before = None if initial is None else (initial,)
    states, (final,) = scan("linear_scan", Linear(kernel), world, (decay, drive), before, reset)
    return states, final


def min_gru_scan(
    gate: Tensor,
    candidate: Tensor,
    initial: Tensor | None = None,
    *,
    reset: Tensor | None = None,
    activation: str = "g",
    kernel: str | None = None,
    group: ProcessGroup | None = None,
) -> tuple[Tensor, Tensor]:
    """`ops.min_gru_scan` of this rank's piece of a sequence; sends what `linear_scan` does.

    Pre-activations side by side come apart with pre.chunk(2, -1).

    >>> import torch
    >>> min_gru_scan(torch.zeros(1, 2, 1), torch.ones(1, 2, 1), activation="identity")[0].flatten().tolist()
    [0.5, 0.75]
    """
    world = find_world("min_gru_scan", group)
    if world.size == 1:
        return min_gru_scan_alone(gate, candidate, initial, reset=reset, activation=activation, kernel=kernel)
    gates = MinGru(require_activation("min_gru_scan", activation))
    before = None if initial is None else (initial,)
    states, (final,) = scan("min_gru_scan", Gated(gates, kernel), world, (gate, candidate), before, reset)
    return states, final


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
    group: ProcessGroup | None = None,
) -> tuple[Tensor, Tensor]:
    """`ops.min_lstm_scan` of this rank's piece of a sequence; sends what `linear_scan` does.

    >>> import torch
    >>> zero, one = torch.zeros(1, 2, 1), torch.ones(1, 2, 1)
    >>> min_lstm_scan(zero, zero, one, activation="identity")[0].flatten().tolist()
    [0.5, 0.75]
    """
    world = find_world("min_lstm_scan", group)
    inputs = (forget, input, candidate)
    if world.size == 1:
        return min_lstm_scan_alone(
            *inputs, initial, reset=reset, activation=activation, normalise=normalise, kernel=kernel
        )
    gates = MinLstm(require_activation("min_lstm_scan", activation), normalise=normalise)
    before = None if initial is None else (initial,)
    states, (final,) = scan("min_lstm_scan", Gated(gates, kernel), world, inputs, before, reset)
    return states, final


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    initial: Tensor | None = None,
    *,
    reset: Tensor | None = None,
    kernel: str | None = None,
    group: ProcessGroup | None = None,
) -> tuple[Tensor, Tensor]:
    """`ops.selective_scan` of this rank's piece of a sequence; A is the same on every rank.

    Decays multiply to exp(A Σ_t δ_t), so that one number says it for a channel's N states: sends B·(E·N + E + 1)
    numbers on the way there and 2·B·E·N on the way back. kernel is not "reference".

    >>> import torch
    >>> one = torch.ones(1, 3, 1)
    >>> selective_scan(one, one, torch.zeros(1, 1), one, one)[0].flatten().tolist()
    [1.0, 2.0, 3.0]
    """
    world = find_world("selective_scan", group)
    if world.size == 1:
        return selective_scan_alone(u, delta, A, B, C, initial, reset=reset, kernel=kernel)
    before, recurrence = None if initial is None else (initial,), Selective(A, kernel)
    outputs, (final,) = scan("selective_scan", recurrence, world, (u, delta, A, B, C), before, reset)
    return outputs, final


def softmax_scan(
    score: Tensor,
    value: Tensor,
    initial: SoftmaxState | None = None,
    *,
    reset: Tensor | None = None,
    kernel: str | None = None,
    group: ProcessGroup | None = None,
) -> tuple[Tensor, SoftmaxState]:
    """`ops.softmax_scan` of this rank's piece of a sequence.

    A state is all that a piece leaves, and two are merged at the larger of their maxima. Sends B·(2 H + D + 1) numbers
    on the way there and 2·B·(2 H + D) on the way back.

    >>> import torch
    >>> outputs, state = softmax_scan(torch.zeros(1, 2, 1), torch.tensor([[[1.0], [3.0]]]))
    >>> outputs.flatten().tolist(), state.denominator.item()
    ([1.0, 2.0], 2.0)
    """
    world = find_world("softmax_scan", group)
    if world.size == 1:
        return softmax_scan_alone(score, value, initial, reset=reset, kernel=kernel)
    outputs, final = scan("softmax_scan", Softmax(kernel), world, (score, value), initial, reset)
    return outputs, SoftmaxState(*final)


def wkv(
    decay: Tensor,
    bonus: Tensor,
    key: Tensor,
    value: Tensor,
    initial: WKVState | None = None,
    *,
    reset: Tensor | None = None,
    kernel: str | None = None,
    group: ProcessGroup | None = None,
) -> tuple[Tensor, WKVState]:
    """`ops.wkv` of this rank's piece of a sequence; decay and bonus are the same on every rank.

    Sends B·(3 D + 2) numbers on the way there and 6·B·D on the way back, which scans the piece once more.

    >>> import torch
    >>> zero, value = torch.zeros(1), torch.tensor([1.0, 3.0]).reshape(1, 2, 1)
    >>> wkv(zero, zero, torch.zeros(1, 2, 1), value)[0].flatten().tolist()
    [1.0, 2.0]
    """
    world = find_world("wkv", group)
    if world.size == 1:
        return wkv_alone(decay, bonus, key, value, initial, reset=reset, kernel=kernel)
    outputs, final = scan("wkv", WKV(decay, kernel), world, (decay, bonus, key, value), initial, reset)
    return outputs, WKVState(*final)
