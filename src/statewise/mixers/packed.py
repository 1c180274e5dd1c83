"""torch's recurrent layers over sequences that restart: rows cut into pieces, run as one PackedSequence.

B batch, T time, D width, L layers of torch's module times directions (here 1), P pieces.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence

Run = Callable[[PackedSequence, tuple[Tensor, ...]], tuple[PackedSequence, tuple[Tensor, ...]]]


def run_with_resets(
    run: Run, x: Tensor, initial: tuple[Tensor, ...], reset: Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs (B, T, D) and final states (B, D) of `run` with the state zeroed wherever `reset` is true.

    run      a torch recurrent module on a PackedSequence with states (1, P, D)
    initial  states (B, D) before the first token
    reset    (B, T) bool; T at least 1
    """
    starts = reset.clone()
    starts[:, 0] = True
    rows, times = starts.nonzero(as_tuple=True)
    begins = rows * x.shape[1] + times
    lengths = torch.diff(begins, append=begins.new_tensor([reset.numel()]))
    packed = pack_sequence(x.flatten(0, 1).split(lengths.tolist()), enforce_sorted=False)

    carried = ~reset[rows, times]
    pieces = tuple(torch.where(carried[:, None], part[rows], 0)[None] for part in initial)
    outputs, finals = run(packed, pieces)

    last = torch.cat([rows[1:] != rows[:-1], rows.new_ones(1, dtype=torch.bool)])
    return torch.cat(unpack_sequence(outputs)).view_as(x), tuple(part[0, last] for part in finals)
