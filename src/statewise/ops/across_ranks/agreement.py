"""That all ranks mean the same scan, before any waits for numbers of another size: a line from each to all."""

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.ops.across_ranks.exchange import World, require_sendable
from statewise.ops.across_ranks.recurrence import Recurrence, Tensors

REFUSED, WANTED, GIVEN = "refused", "g", "i"
"""The line of a rank that refuses its own arguments; flags of one that waits for gradients, or has an initial state."""

FORWARD_MODE = """{where} across ranks: forward-mode derivatives (jvp, dual tensors) are not available.
Use reverse mode: backward or torch.autograd.grad, on every rank."""

DIFFERENT = """{where} across ranks: all ranks must pass one recurrence with the same options, batch, channels,
dtype and type of device; only T may differ.
{lines}"""


def refusal_of(
    where: str, recurrence: Recurrence, world: World, inputs: Tensors, initial: Tensors | None, reset: Tensor | None
) -> UsageError | None:
    """What is wrong with this rank's own arguments."""
    try:
        recurrence.check(inputs, initial, reset)
        require_sendable(where, world, inputs[0].device)
        if any(forward_ad.unpack_dual(each).tangent is not None for each in (*inputs, *(initial or ()))):
            raise UsageError(FORWARD_MODE.format(where=where))
    except UsageError as error:
        return error
    return None


def line_of(recurrence: Recurrence, inputs: Tensors, initial: Tensors | None) -> str:
    """What this rank tells the others: flags, a bar, and that on which all must agree.

    >>> from statewise.ops.across_ranks.diagonal import Linear
    >>> line_of(Linear(), (torch.zeros(2, 3, 5), torch.zeros(2, 3, 5)), None)
    '|linear_scan, float32 on cpu, state (2, 5), gradients on'
    """
    graph = torch.is_grad_enabled()
    wanted = graph and any(each.requires_grad for each in (*inputs, *(initial or ())))
    flags = WANTED * wanted + GIVEN * (initial is not None)
    dtype = str(inputs[0].dtype).removeprefix("torch.")
    shapes = " ".join(str(tuple(each.shape)) for each in recurrence.empty(inputs))
    kind = f"{dtype} on {inputs[0].device.type}, state {shapes}, gradients {'on' if graph else 'off'}"
    return f"{flags}|{recurrence.describe()}, {kind}"


def require_agreement(where: str, lines: list[str]) -> bool:
    """Whether any rank waits for gradients; a UsageError unless the lines of all ranks fit together.

    >>> require_agreement("linear_scan", ["i|state (2, 5)", "g|state (2, 5)"])
    True
    """
    if REFUSED in lines:
        refused = [rank for rank, line in enumerate(lines) if line == REFUSED]
        raise UsageError(f"{where} across ranks: {_named(refused)} refused the arguments, and says there why.")
    flags, _, texts = zip(*(line.partition("|") for line in lines), strict=True)
    if len(set(texts)) > 1:
        told = {text: _named([rank for rank, each in enumerate(texts) if each == text]) for text in texts}
        listing = "\n".join(f"  {ranks}: {text}" for text, ranks in told.items())
        raise UsageError(DIFFERENT.format(where=where, lines=listing))
    given = [rank for rank, each in enumerate(flags) if GIVEN in each]
    if given and given[0] != 0:
        raise UsageError(
            f"{where} across ranks: {_named(given)} passed initial, and rank 0 did not. It is the state before the "
            "whole sequence, read on rank 0. Pass it there."
        )
    return any(WANTED in each for each in flags)


def _named(ranks: list[int]) -> str:
    """The ranks in words, eight of them at most."""
    more = f" and {len(ranks) - 8} more" if len(ranks) > 8 else ""
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks[:8]))}{more}"
