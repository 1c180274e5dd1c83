"""One sequence in pieces, one for each rank: scan, tell what the piece does to a state, scan again from what enters.

Forward.   Every rank scans its piece from the empty state, rank 0 from the initial one. All gather all summaries. Every
           rank composes those of earlier ranks into the state that enters its piece, and scans it again from there.
Backward.  The same from the last rank to the first. Every rank goes back through its piece to the gradient of what
           enters. All gather those, and the gradients of the final state. Every rank takes those of later ranks through
           their summaries to the state after its own piece, and goes back through it once more.

Rank 0 knows what enters its piece and has nobody before it: it scans once, and goes back once.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.core.errors import UsageError
from statewise.ops.across_ranks.agreement import REFUSED, line_of, refusal_of, require_agreement
from statewise.ops.across_ranks.exchange import World, announce, gather
from statewise.ops.across_ranks.recurrence import Piece, Recurrence, Tensors
from statewise.ops.across_ranks.summaries import (
    Layout,
    Summary,
    gradient_after,
    pack_summary,
    states_after,
    summary_layout,
    unpack_summaries,
    zero_where,
)

SECOND = """{where} across ranks: derivatives of higher order (create_graph=True) are not available.
Differentiate the scan of one process, on the pieces gathered there."""


class Scanned(NamedTuple):
    """A piece scanned from the state that enters it; the final state of the sequence and the rows of all summaries."""

    piece: Piece
    state: Tensors
    final: Tensors
    rows: Tensor


def scan(
    where: str, recurrence: Recurrence, world: World, inputs: Tensors, initial: Tensors | None, reset: Tensor | None
) -> tuple[Tensor, Tensors]:
    """This rank's outputs and the final state of the whole sequence, in a world of at least two ranks.

    where    the front door, with which errors begin
    inputs   of this rank's piece
    initial  of the whole sequence, read on rank 0
    """
    if refusal := refusal_of(where, recurrence, world, inputs, initial, reset):
        announce(world, REFUSED)()
        raise refusal
    hear = announce(world, line_of(recurrence, inputs, initial))
    # The lines travel while the piece is scanned.
    state = recurrence.empty(inputs) if world.rank or initial is None else initial
    with torch.no_grad():
        first, summary = _first_scan(recurrence, world, inputs, state, reset)
        wanted = require_agreement(where, hear())
        scanned = _exchange(recurrence, world, inputs, state, reset, first, summary)
    # Where any rank waits for gradients, all must come to the exchange on the way back.
    anchor = torch.zeros((), requires_grad=True) if wanted else None
    arguments = (where, recurrence, world, scanned, reset, len(inputs), anchor, *inputs, *(initial or ()))
    outputs, *final = AcrossRanks.apply(*arguments)  # type: ignore[no-untyped-call]
    return outputs, tuple(final)


class AcrossRanks(torch.autograd.Function):
    """What was scanned and exchanged, with its way back."""

    @staticmethod
    def forward(
        ctx: Any,
        where: str,
        recurrence: Recurrence,
        world: World,
        scanned: Scanned,
        reset: Tensor | None,
        count: int,
        anchor: Tensor | None,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        """(outputs, the parts of the final state) from `count` inputs and then the parts of the initial state."""
        piece, state, final, rows = scanned
        ctx.where, ctx.recurrence, ctx.world = where, recurrence, world
        ctx.count, ctx.parts, ctx.has_initial = count, len(state), len(tensors) > count
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors[:count], *state, reset, rows, piece.outputs, *piece.kept)
        return piece.outputs, *final

    @staticmethod
    def backward(ctx: Any, on_outputs: Tensor | None, *on_final: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs and of the initial state."""
        if torch.is_grad_enabled():
            raise UsageError(SECOND.format(where=ctx.where))
        inputs, state = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :][: ctx.parts]
        reset, rows, outputs, *kept = ctx.saved_tensors[ctx.count + ctx.parts :]
        back = ctx.recurrence.way_back(inputs, state, reset, outputs, tuple(kept))

        nothing = tuple(map(torch.zeros_like, state))
        on_state = back(on_outputs, nothing)[1] if ctx.world.rank and on_outputs is not None else nothing
        on_after = _exchange_gradients(ctx.recurrence, ctx.world, inputs, rows, on_state, on_final)
        on_after = tuple(each.to(part.dtype) for each, part in zip(on_after, state, strict=True))
        on_inputs, on_state = back(on_outputs, on_after)

        on_initial = (nothing if ctx.world.rank else on_state) if ctx.has_initial else ()
        return (*(None,) * 7, *on_inputs, *on_initial)


def _first_scan(
    recurrence: Recurrence, world: World, inputs: Tensors, state: Tensors, reset: Tensor | None
) -> tuple[Piece | None, Summary]:
    """The summary of the piece scanned from `state`; and the piece, where `state` is what enters it: on rank 0."""
    piece = recurrence.run(inputs, state, reset)
    cut = torch.zeros(len(state[0]), 1, dtype=torch.bool, device=state[0].device)
    if world.rank == 0:
        return piece, Summary(recurrence.no_carry(inputs), piece.after, ~cut)
    cut = cut if reset is None else reset.any(1, keepdim=True)
    carry = tuple(zero_where(cut, each) for each in recurrence.carry(inputs))
    return None, Summary(carry, piece.after, cut)


def _exchange(
    recurrence: Recurrence,
    world: World,
    inputs: Tensors,
    state: Tensors,
    reset: Tensor | None,
    first: Piece | None,
    summary: Summary,
) -> Scanned:
    """This rank's piece scanned from what enters it: `first`, from `state`, where there is one."""
    rows = gather(world, pack_summary(summary_layout(recurrence, inputs), summary))
    summaries = unpack_summaries(recurrence, inputs, rows)
    after = states_after(recurrence, inputs, summaries, _wide(recurrence.empty(inputs)))
    final = tuple(each.to(part.dtype) for each, part in zip(after[-1], state, strict=True))
    if first is not None:
        return Scanned(first, state, final, rows)
    state = tuple(each.to(part.dtype) for each, part in zip(after[world.rank], state, strict=True))
    return Scanned(recurrence.run(inputs, state, reset), state, final, rows)


def _exchange_gradients(
    recurrence: Recurrence,
    world: World,
    inputs: Tensors,
    rows: Tensor,
    on_state: Tensors,
    on_final: tuple[Tensor | None, ...],
) -> Tensors:
    """The gradient of the state after this rank's piece, from that of every rank's entering and of the final state."""
    layout, rank = Layout.of(*on_state, *on_state), world.rank
    gathered = [layout.unpack(row) for row in gather(world, layout.pack((*on_state, *on_final)))]
    parts = len(on_state)
    on_entering = [each[:parts] for each in gathered[rank + 1 :]]
    on_last = tuple(torch.stack(each).sum(0) for each in zip(*(each[parts:] for each in gathered), strict=True))
    summaries = unpack_summaries(recurrence, inputs, rows)
    state = states_after(recurrence, inputs, summaries[: rank + 1], _wide(recurrence.empty(inputs)))[-1]
    return gradient_after(recurrence, inputs, summaries[rank + 1 :], state, on_entering, on_last)


def _wide(state: Tensors) -> Tensors:
    """The state in at least float32."""
    return tuple(each.to(accumulation_dtype(each.dtype)) for each in state)
