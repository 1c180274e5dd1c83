"""Feed-forwards: what a block does along channels, after its mixer has moved information along time.

gelu    W₂ gelu(W₁ x + b₁) + b₂
relu    W₂ relu(W₁ x + b₁) + b₂
geglu   W₂ (gelu(W_g x + b_g) ⊙ (W_v x + b_v)) + b₂        geglu-tanh has tanh's approximation of the GELU
swiglu  W₂ (silu(W_g x) ⊙ W_v x)
rwkv4   σ(W_r x̄^r) ⊙ W_v relu(W_k x̄^k)²        x̄^• = μ_• ⊙ x_t + (1 − μ_•) ⊙ x_{t−1}
rwkv7   W_v relu(W_k x̄^k)²                     x̄^k = x_t + μ_k ⊙ (x_{t−1} − x_t)

RWKV's see the token before, and so carry a state: they are mixers. B batch, T time, D width, F inner width, which is
multiple · D, or `units` in its place.
Sources: Shazeer, arXiv 2002.05202 (geglu, swiglu); Peng et al., arXiv 2305.13048 and 2503.14456 (channel mixing), with
initial values from github.com/BlinkDL/RWKV-LM.
"""

import inspect
from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.errors import pick
from statewise.mixers import Mixer
from statewise.mixers.rwkv4 import require_place
from statewise.mixers.token_shift import channel_shares, previous_tokens
from statewise.mixers.units import units_of


class FeedForward(nn.Sequential):
    """Linear, GELU, linear: (…, width) → (…, width) through F channels."""

    activation: type[nn.Module] = nn.GELU

    def __init__(self, width: int, multiple: int, *, units: int | None = None) -> None:
        inner = units_of(type(self).__name__, width, multiple, units)
        super().__init__(nn.Linear(width, inner), self.activation(), nn.Linear(inner, width))


class ReluFeedForward(FeedForward):
    """Linear, ReLU, linear: (…, width) → (…, width) through F channels."""

    activation = nn.ReLU


class GatedFeedForward(nn.Module):
    """Linear gated by the GELU of another, linear: (…, width) → (…, width) through F channels."""

    bias = True

    def __init__(self, width: int, multiple: int, *, units: int | None = None) -> None:
        super().__init__()
        inner = units_of(type(self).__name__, width, multiple, units)
        self.gate_value = nn.Linear(width, 2 * inner, bias=self.bias)
        self.output = nn.Linear(inner, width, bias=self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) → (…, width)."""
        gate, value = self.gate_value(x).chunk(2, -1)
        y: Tensor = self.output(self.activate(gate) * value)
        return y

    def activate(self, gate: Tensor) -> Tensor:
        """What the value is multiplied by, (…, F)."""
        return F.gelu(gate)


class TanhGatedFeedForward(GatedFeedForward):
    """The same with tanh's approximation of the GELU, as Gemma's models have it."""

    def activate(self, gate: Tensor) -> Tensor:
        """What the value is multiplied by, (…, F)."""
        return F.gelu(gate, approximate="tanh")


class SiluGatedFeedForward(GatedFeedForward):
    """Linear gated by the SiLU of another, linear, without biases, as Llama and xLSTM have it."""

    bias = False

    def activate(self, gate: Tensor) -> Tensor:
        """What the value is multiplied by, (…, F)."""
        return F.silu(gate)


class ChannelMixState(NamedTuple):
    """last (B, D): the input before."""

    last: Tensor


class ChannelMix(Mixer):
    """RWKV's feed-forward as a mixer: F squared positive parts of each token, shifted towards the one before it.

    Subclasses say what they make of both in `mix`, and call their last linear map `output`.
    """

    recurrent = True
    non_negative_decay = False

    def __init__(self, width: int, multiple: int, units: int | None) -> None:
        super().__init__(width)
        inner = units_of(type(self).__name__, width, multiple, units)
        self.key = nn.Linear(width, inner, bias=False)
        self.output = nn.Linear(inner, width, bias=False)

    @abstractmethod
    def mix(self, x: Tensor, previous: Tensor) -> Tensor:
        """Outputs (…, D) of tokens and those before them."""

    def forward(
        self, x: Tensor, state: ChannelMixState | None = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, ChannelMixState]:
        """Outputs (B, T, D) and the last token; see `Mixer.forward`."""
        self.check_input(x, reset)
        state = self.initial_state(x.shape[0], dtype=x.dtype) if state is None else state
        previous, last = previous_tokens(x, state.last, reset)
        return self.mix(x, previous), ChannelMixState(last)

    def step(self, x: Tensor, state: ChannelMixState) -> tuple[Tensor, ChannelMixState]:
        """One token (B, D); see `Mixer.step`."""
        return self.mix(x, state.last.to(x.dtype)), ChannelMixState(x)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> ChannelMixState:
        """No token yet: zeros."""
        return ChannelMixState(self.empty(batch_size, self.width, device=device, dtype=dtype))


class RWKV4ChannelMix(ChannelMix):
    """RWKV-4's feed-forward, (B, T, width) → (B, T, width). O(T·D·F) work, D values of state.

    width     D, at least 1
    multiple  F = multiple · width; the published one is 4
    units     F itself, in place of the multiple
    layer     place in a stack of `layers`, from 0: the published initial shifts depend on it
    layers    how many layers that stack has

    Starts as the authors' does, but for `output`: zero there, it starts as nn.Linear does, and blocks scale it.

    >>> y, state = RWKV4ChannelMix(8)(torch.zeros(2, 5, 8))
    >>> y.shape, state.last.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    def __init__(
        self, width: int, multiple: int = 4, *, units: int | None = None, layer: int = 0, layers: int = 1
    ) -> None:
        super().__init__(width, multiple, units)
        require_place("RWKV4ChannelMix", layer, layers)
        shares = channel_shares(width) ** (1 - layer / layers)
        self.shift_key, self.shift_receptance = nn.Parameter(shares), nn.Parameter(shares.clone())
        self.receptance = nn.Linear(width, width, bias=False)
        nn.init.orthogonal_(self.key.weight, gain=(self.key.out_features / width) ** 0.5)
        nn.init.zeros_(self.receptance.weight)

    def mix(self, x: Tensor, previous: Tensor) -> Tensor:
        """Outputs (…, D) of tokens and those before them."""
        inner = self.key(torch.lerp(previous, x, self.shift_key)).relu().square()
        gate = self.receptance(torch.lerp(previous, x, self.shift_receptance)).sigmoid()
        y: Tensor = gate * self.output(inner)
        return y


class RWKV7ChannelMix(ChannelMix):
    """RWKV-7's feed-forward, (B, T, width) → (B, T, width): RWKV-4's without the gate. Options and costs are the same.

    >>> y, state = RWKV7ChannelMix(8)(torch.zeros(2, 5, 8))
    >>> y.shape, state.last.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    def __init__(
        self, width: int, multiple: int = 4, *, units: int | None = None, layer: int = 0, layers: int = 1
    ) -> None:
        super().__init__(width, multiple, units)
        require_place("RWKV7ChannelMix", layer, layers)
        self.shift_key = nn.Parameter(1 - channel_shares(width) ** ((1 - layer / layers) ** 4))
        bound = 0.5 / width**0.5
        nn.init.uniform_(self.key.weight, -bound, bound)

    def mix(self, x: Tensor, previous: Tensor) -> Tensor:
        """Outputs (…, D) of tokens and those before them."""
        y: Tensor = self.output(self.key(torch.lerp(x, previous, self.shift_key)).relu().square())
        return y


FEED_FORWARDS: dict[str, Callable[..., nn.Module]] = {
    "gelu": FeedForward,
    "relu": ReluFeedForward,
    "geglu": GatedFeedForward,
    "geglu-tanh": TanhGatedFeedForward,
    "swiglu": SiluGatedFeedForward,
    "rwkv4": RWKV4ChannelMix,
    "rwkv7": RWKV7ChannelMix,
}
"""Called with the width, and the inner width as a multiple of it or by the name `units`."""


def build_feed_forward(
    kind: str, width: int, multiple: int, *, units: int | None = None, layer: int, layers: int
) -> nn.Module:
    """The feed-forward called `kind`, told its place in the stack if it asks for that."""
    made = pick("feed-forward", kind, FEED_FORWARDS)
    place = {"layer": layer, "layers": layers} if "layer" in inspect.signature(made).parameters else {}
    return made(width, multiple, units=units, **place)
