"""torch.nn.GRU's interface over recurrences whose gates see the input alone: every layer is one scan.

    p_t = W x_t + b        h_1 … h_T = scan(p_1 … p_T, h_0)

for each layer and direction. A layer's output is its hidden state, as torch's is: there is no output projection.

B batch, T time, I input size, H hidden size, L layers, D directions.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from statewise.nn.checks import require_dropout, require_flags, require_input, require_sizes, require_state
from statewise.nn.sequences import EqualSequences, PackedSequences, Sequences


class RecurrentLayer(nn.Module, ABC):
    """A drop-in for torch.nn.GRU: a subclass says how many projections its recurrence takes, and how they are scanned.

    The arguments are torch.nn.GRU's, with its meanings and defaults. bias_offsets, one for each projection, are added
    to the initial biases.

    Parameters are weight_ih_l0 (projections · H, I), bias_ih_l0 (projections · H), those of further layers, and
    `_reverse` after the names for the way back: torch's, without weight_hh and bias_hh, since no gate sees the state.

    O(T·H·I) work in the first layer and O(T·D·H²) in each further one, for every direction, all of it in matrix
    products over all tokens at once; L·D·H values of state.

    >>> from statewise.ops import linear_scan
    >>> class Leaky(RecurrentLayer):
    ...     projections = 2
    ...     def scan(self, projected, initial, reset):
    ...         gate, candidate = projected.chunk(2, dim=-1)
    ...         return linear_scan(gate.sigmoid(), candidate.tanh(), initial, reset=reset)
    >>> output, h_n = Leaky(4, 8, num_layers=2, bidirectional=True)(torch.zeros(5, 3, 4))
    >>> output.shape, h_n.shape
    (torch.Size([5, 3, 16]), torch.Size([4, 3, 8]))
    """

    projections: ClassVar[int]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias_offsets: Sequence[float] = (),
    ) -> None:
        super().__init__()
        where = type(self).__name__
        require_sizes(where, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        require_flags(where, bias=bias, batch_first=batch_first)
        require_dropout(where, dropout, num_layers)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.bias_offsets = tuple(bias_offsets)
        for layer in range(num_layers):
            for name in self._names(layer):
                self._add_parameters(name, input_size if layer == 0 else self._directions * hidden_size, device, dtype)
        self.reset_parameters()

    @abstractmethod
    def scan(self, projected: Tensor, initial: Tensor | None, reset: Tensor | None) -> tuple[Tensor, Tensor]:
        """States (B, T, H) and the last one (B, H), from the projections side by side, (B, T, projections · H).

        initial  (B, H) h_0, or None for zeros
        reset    (B, T) bool, true where the state before the token is zero, or None for nowhere
        """

    def forward(self, input: Tensor | PackedSequence, hx: Any = None) -> tuple[Any, Any]:  # noqa: A002
        """The last layer's hidden state at every token, and every layer's after the last token: (output, h_n).

        input  (T, B, I), with batch_first (B, T, I); (T, I) is one sequence; or a PackedSequence. T may be 0
        hx     h_0 (L·D, B, H), of one sequence (L·D, H); zeros where absent

        output has the form of input with D·H channels, and h_n that of h_0. The way back is reversed: it begins at
        each sequence's own end, and its h_n is the state at the first token.
        """
        initial = None if hx is None else self.unwrap(hx)
        output: Tensor | PackedSequence
        if isinstance(input, PackedSequence):
            output, final = self._run_packed(input, initial)
        else:
            output, final = self._run_tensor(input, initial)
        return output, self.wrap(final)

    def unwrap(self, hx: Any) -> Any:
        """h_0 from what was passed as hx."""
        return hx

    def wrap(self, final: Tensor) -> Any:
        """What is returned beside the output, from h_n."""
        return final

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly from ±1/√hidden_size, as torch.nn.GRU does, and add the biases' offsets."""
        bound = 1 / math.sqrt(self.hidden_size)
        for name, parameter in self.named_parameters():
            nn.init.uniform_(parameter, -bound, bound)
            if self.bias_offsets and name.startswith("bias"):
                with torch.no_grad():
                    parameter.unflatten(0, (self.projections, -1)).add_(
                        parameter.new_tensor(self.bias_offsets)[:, None]
                    )

    def flatten_parameters(self) -> None:
        """Do nothing: parameters need no special place in memory. Scripts written for torch.nn.GRU call it."""

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of every layer and direction, as torch.nn.GRU's `all_weights`."""
        kinds = ("weight_ih", "bias_ih") if self.bias else ("weight_ih",)
        names = [name for layer in range(self.num_layers) for name in self._names(layer)]
        return [[getattr(self, kind + name) for kind in kinds] for name in names]

    def extra_repr(self) -> str:
        """The arguments that are not defaults, as torch.nn.GRU prints them."""
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        given = [f"{name}={getattr(self, name)}" for name, value in defaults.items() if getattr(self, name) != value]
        return ", ".join([str(self.input_size), str(self.hidden_size), *given])

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _names(self, layer: int) -> list[str]:
        """The ends of a layer's parameter names, one for each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"][: self._directions]

    def _add_parameters(
        self, name: str, width: int, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        rows = self.projections * self.hidden_size
        self.register_parameter(f"weight_ih{name}", nn.Parameter(torch.empty(rows, width, device=device, dtype=dtype)))
        if self.bias:
            self.register_parameter(f"bias_ih{name}", nn.Parameter(torch.empty(rows, device=device, dtype=dtype)))

    def _run_tensor(self, x: Any, initial: Any) -> tuple[Tensor, Tensor]:
        self._require_input(x, *(("batch", "time") if self.batch_first else ("time", "batch")))
        if x.dim() == 2:
            self._require_state(initial, x)
            output, final = self._run_batch(x[None], None if initial is None else initial[:, None], transposed=False)
            return output[0], final[:, 0]
        x = x if self.batch_first else x.transpose(0, 1)
        self._require_state(initial, x, x.shape[0])
        return self._run_batch(x, initial, transposed=not self.batch_first)

    def _run_batch(self, x: Tensor, initial: Tensor | None, *, transposed: bool) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, D·H), or (T, B, D·H) where transposed, from (B, T, I)."""
        outputs, final = self._run_layers(x.contiguous(), initial, EqualSequences())
        if transposed:
            outputs = [output.transpose(0, 1) for output in outputs]
        # A copy even of one, in the caller's order: states are kept for the backward, and callers write on outputs.
        return torch.cat(outputs, dim=-1), final

    def _run_packed(self, packed: PackedSequence, initial: Any) -> tuple[PackedSequence, Tensor]:
        data, batch_sizes, order, back = packed
        self._require_input(data, "tokens")
        self._require_state(initial, data, int(batch_sizes[0]))
        if initial is not None and order is not None:
            initial = initial.index_select(1, order)
        outputs, final = self._run_layers(data, initial, PackedSequences(batch_sizes, data.device))
        if back is not None:
            final = final.index_select(1, back)
        return PackedSequence(_side_by_side(outputs), batch_sizes, order, back), final

    def _run_layers(self, x: Tensor, initial: Tensor | None, sequences: Sequences) -> tuple[list[Tensor], Tensor]:
        """The last layer's states (…, H) of each direction, and every layer's last ones (L·D, B, H)."""
        outputs = [x]
        finals: list[Tensor] = []
        for layer in range(self.num_layers):
            x = _side_by_side(outputs)
            if layer > 0:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for direction, name in enumerate(self._names(layer)):
                h_0 = None if initial is None else initial[layer * self._directions + direction]
                states, final = self._run_direction(x, h_0, sequences, name, reverse=direction == 1)
                outputs.append(states)
                finals.append(final)
        return outputs, torch.stack(finals)

    def _run_direction(
        self, x: Tensor, initial: Tensor | None, sequences: Sequences, name: str, *, reverse: bool
    ) -> tuple[Tensor, Tensor]:
        bias = getattr(self, f"bias_ih{name}") if self.bias else None
        projected = F.linear(x, getattr(self, f"weight_ih{name}"), bias)
        # Under autocast the projections are narrower than the state.
        h_0 = None if initial is None else initial.to(projected.dtype)
        return sequences.run(self.scan, projected, h_0, reverse=reverse)

    def _require_input(self, x: Any, *axes: str) -> None:
        require_input(type(self).__name__, x, axes, self.input_size, next(self.parameters()).dtype)

    def _require_state(self, initial: Any, x: Tensor, *batch: int) -> None:
        if initial is not None:
            needed = (self.num_layers * self._directions, *batch, self.hidden_size)
            require_state(type(self).__name__, initial, needed, x)


def _side_by_side(outputs: list[Tensor]) -> Tensor:
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
