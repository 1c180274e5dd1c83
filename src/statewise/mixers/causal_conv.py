"""A causal depthwise convolution: every channel sees its own last K values, nothing from before its sequence began.

    y_t = Σ_{j=0}^{K−1} w_j ⊙ x_{t−j} + b

Weights are (K, D), the newest token's tap first: `weight[0]` multiplies x_t, `weight[K−1]` multiplies x_{t−K+1}.
torch's depthwise `Conv1d` has the same numbers as `weight.T.flip(1)[:, None]`. Carried is the window (B, K−1, D):
the last inputs, oldest first, zero where there were none.

B batch, T time, D channels, K taps.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statewise.core.dtypes import accumulation_dtype
from statewise.ops import one_token


def causal_conv(
    x: Tensor, window: Tensor, weight: Tensor, bias: Tensor | None = None, reset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Outputs (B, T, D) and the window after the last token. O(T·D·K) work; sums are taken in at least float32.

    x       (B, T, D)
    window  (B, K−1, D), the inputs before the first token, oldest first
    weight  (K, D), the newest token's tap first
    bias    (D,)
    reset   (B, T) bool, true where a new sequence starts: it sees zeros in place of the tokens before it

    >>> x, window, weight = torch.ones(1, 3, 1), torch.zeros(1, 1, 1), torch.tensor([[1.0], [10.0]])
    >>> y, window = causal_conv(x, window, weight)
    >>> y.flatten().tolist(), window.tolist()
    ([1.0, 11.0, 11.0], [[[1.0]]])
    """
    length, taps = x.shape[1], weight.shape[0]
    past = torch.cat([window, x], 1)
    age = None if reset is None or not length else tokens_since_reset(reset)
    wide = accumulation_dtype(x.dtype)
    seen, weight = past.to(wide), weight.to(wide)
    y = weight[0] * seen[:, taps - 1 :]
    for j in range(1, taps):
        shifted = seen[:, taps - 1 - j : taps - 1 - j + length]
        y = torch.addcmul(y, weight[j], shifted if age is None else shifted.masked_fill((age < j)[..., None], 0))
    y = (y if bias is None else y + bias.to(wide)).to(x.dtype)
    # A copy: a view would keep all T inputs alive for as long as the state.
    last = past[:, length:].clone()
    if age is not None:
        distance = torch.arange(taps - 2, -1, -1, device=x.device)
        last = last.masked_fill((distance > age[:, -1:])[..., None], 0)
    return y, last


def causal_conv_step(
    x: Tensor, window: Tensor, weight: Tensor, bias: Tensor | None = None, *, silu: bool = False
) -> tuple[Tensor, Tensor]:
    """One token: x (B, D) and the window (B, K−1, D) before it give the output (B, D) and the window after it.

    silu  take SiLU of the output

    >>> causal_conv_step(torch.ones(1, 1), torch.ones(1, 1, 1), torch.tensor([[1.0], [10.0]]))[0].tolist()
    [[11.0]]
    """
    if one_token.infers(x, window, weight, bias):
        return one_token.causal_conv_step(x, window, weight, bias, silu=silu)
    past, wide = torch.cat([window, x[:, None]], 1), accumulation_dtype(x.dtype)
    y = (past.to(wide) * weight.to(wide).flip(0)).sum(1)
    y = (y if bias is None else y + bias.to(wide)).to(x.dtype)
    return F.silu(y) if silu else y, past[:, 1:].clone()


def initial_weight(taps: int, width: int) -> nn.Parameter:
    """Taps (K, D) uniform in ±1/√K: torch's own start of a depthwise convolution, whose fan-in is K.

    >>> initial_weight(4, 8).shape
    torch.Size([4, 8])
    """
    return nn.Parameter(torch.empty(taps, width).uniform_(-1, 1) / taps**0.5)


def tokens_since_reset(reset: Tensor) -> Tensor:
    """How many tokens (B, T) lie between each and its sequence's first; very many before any reset.

    >>> tokens_since_reset(torch.tensor([[False, True, False, False]]))[0, 1:].tolist()
    [0, 1, 2]
    """
    places = torch.arange(reset.shape[1], device=reset.device)
    first = torch.where(reset, places, -reset.numel() - 2**20).cummax(1).values
    return places - first
