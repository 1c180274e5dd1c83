"""Pieces of averages weighted by exponentials: the softmax scan, and RWKV-4's.

What a piece leaves is a state itself: the largest exponent m, d = Σ e^{s − m} and n = Σ e^{s − m} v. Two are merged at
the larger m, so that no exponent is positive. RWKV-4 decays what enters by w for each token of the piece before that.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from statewise.core.dtypes import accumulation_dtype
from statewise.ops.across_ranks.recurrence import Piece, Recurrence, Tensors, WayBack
from statewise.ops.softmax_scan import SoftmaxState, raw, require_softmax_scan
from statewise.ops.softmax_scan import reference as softmax
from statewise.ops.wkv import WKVState, require_wkv, wkv
from statewise.ops.wkv.reference import empty_state


@dataclass(frozen=True)
class Softmax(Recurrence):
    """The softmax scan of score and value."""

    kernel: str | None = None

    def describe(self) -> str:
        """See `Recurrence`."""
        return "softmax_scan"

    def check(self, inputs: Tensors, initial: Tensors | None, reset: Tensor | None) -> None:
        """See `Recurrence`."""
        state = None if initial is None else SoftmaxState(*initial)
        score, value = inputs
        require_softmax_scan(score, value, state, reset, self.kernel)

    def empty(self, inputs: Tensors) -> Tensors:
        """See `Recurrence`."""
        return softmax.empty(*inputs)

    def carry(self, inputs: Tensors) -> Tensors:
        """See `Recurrence`."""
        return ()

    def no_carry(self, inputs: Tensors) -> Tensors:
        """See `Recurrence`."""
        return ()

    def compose(self, carry: Tensors, left: Tensors, state: Tensors) -> Tensors:
        """See `Recurrence`."""
        return merge(state, left)

    def run(self, inputs: Tensors, state: Tensors, reset: Tensor | None) -> Piece:
        """See `Recurrence`."""
        outputs, maxima, denominators, numerator = raw.forward_op(*inputs, *state, reset, self.kernel)
        seen = (maxima[:, -1], denominators[:, -1]) if outputs.shape[1] else state[:2]
        return Piece(outputs, (*seen, numerator), (maxima, denominators, numerator))

    def way_back(
        self, inputs: Tensors, state: Tensors, reset: Tensor | None, outputs: Tensor, kept: Tensors
    ) -> WayBack:
        """See `Recurrence`."""
        maxima, denominators, numerator = kept

        def back(on_outputs: Tensor | None, on_after: Tensors) -> tuple[Tensors, Tensors]:
            on_outputs = torch.zeros_like(outputs) if on_outputs is None else on_outputs
            seen = (*inputs, outputs, maxima, denominators)
            grads = raw.backward_op(*seen, *state, reset, on_outputs, numerator, *on_after, self.kernel)
            return tuple(grads[:2]), tuple(grads[2:])

        return back


@dataclass(frozen=True)
class WKV(Recurrence):
    """RWKV-4's average of decay, bonus, key and value; `log_decay` is the decay, in at least float32."""

    log_decay: Tensor
    kernel: str | None = None

    def describe(self) -> str:
        """See `Recurrence`."""
        return "wkv"

    def check(self, inputs: Tensors, initial: Tensors | None, reset: Tensor | None) -> None:
        """See `Recurrence`."""
        decay, bonus, key, value = inputs
        state = None if initial is None else WKVState(*initial)
        require_wkv(decay, bonus, key, value, state, reset)

    def empty(self, inputs: Tensors) -> Tensors:
        """See `Recurrence`."""
        return tuple(empty_state(inputs[2]))

    def carry(self, inputs: Tensors) -> Tensors:
        """The number of tokens, (B, 1): all there is to know of decays that are the same at every token."""
        batch, length, _ = inputs[2].shape
        return (inputs[2].new_full((batch, 1), length, dtype=accumulation_dtype(inputs[2].dtype)),)

    def no_carry(self, inputs: Tensors) -> Tensors:
        """See `Recurrence`."""
        return self.carry(inputs)

    def compose(self, carry: Tensors, left: Tensors, state: Tensors) -> Tensors:
        """See `Recurrence`."""
        numerator, denominator, maximum = state
        decayed = (maximum + carry[0] * self.log_decay.detach().to(maximum.dtype), denominator, numerator)
        return merge(decayed, left[::-1])[::-1]

    def run(self, inputs: Tensors, state: Tensors, reset: Tensor | None) -> Piece:
        """See `Recurrence`."""
        decay, bonus, key, value = inputs
        outputs, after = wkv(decay, bonus, key, value, WKVState(*state), reset=reset, kernel=self.kernel)
        return Piece(outputs, tuple(after))

    def way_back(
        self, inputs: Tensors, state: Tensors, reset: Tensor | None, outputs: Tensor, kept: Tensors
    ) -> WayBack:
        """Scans the piece again, with a graph: `wkv` has no backward of its own that could be called."""
        leaves = tuple(each.detach().requires_grad_() for each in (*inputs, *state))
        with torch.enable_grad():
            again, after, _ = self.run(leaves[:4], leaves[4:], reset)

        def back(on_outputs: Tensor | None, on_after: Tensors) -> tuple[Tensors, Tensors]:
            on_outputs = torch.zeros_like(again) if on_outputs is None else on_outputs
            made, grads = zip(
                *(pair for pair in zip((again, *after), (on_outputs, *on_after), strict=True) if pair[0].requires_grad),
                strict=True,
            )
            found = torch.autograd.grad(made, leaves, grads, retain_graph=True, materialize_grads=True)
            return found[:4], found[4:]

        return back


def merge(first: Tensors, second: Tensors) -> Tensors:
    """(m, d, n) of what two sets of tokens left, m and d (B, H), n (B, D), either of which may be empty: −∞, 0, 0.

    The gradient of the larger m goes to the first of equals.

    >>> one, two = torch.ones(1, 1), torch.full((1, 1), 2.0)
    >>> [each.item() for each in merge((one, one, two), (one, one, one))]
    [1.0, 2.0, 3.0]
    """
    largest = torch.where(first[0] >= second[0], first[0], second[0])
    old, fresh = _weight(first[0], largest), _weight(second[0], largest)
    per_head = first[2].shape[-1] // max(1, largest.shape[-1])
    denominator = old * first[1] + fresh * second[1]
    numerator = softmax.spread(old, per_head) * first[2] + softmax.spread(fresh, per_head) * second[2]
    return largest, denominator, numerator


def _weight(score: Tensor, largest: Tensor) -> Tensor:
    """e^{score − largest}, 0 where the score is −∞, with a gradient there that is 0 and not NaN."""
    nothing = score == -torch.inf
    return torch.where(nothing, 0, torch.exp(torch.where(nothing, 0, score - largest)))
