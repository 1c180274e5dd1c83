"""The delta rule with decay: a memory that takes out what a key recalls before it writes, as a function with gradients.

    S_t = diag(e^{g_t}) S_{t−1} − r_t (c_tᵀ S_{t−1}) + k_t v_tᵀ        y_t = S_tᵀ q_t

README.md beside this file has the equations, the work and which form runs when.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from statewise.core.errors import pick
from statewise.ops.checks import require_matrix_scan
from statewise.ops.delta_scan import chunked, reference
from statewise.ops.matrix_scan import fused

__all__ = ["delta_scan"]

NAME = "delta_scan"
FORMS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "cpu": partial(fused.scan, NAME, "cpu"),
    "cpu-portable": partial(fused.scan, NAME, "cpu-portable"),
    "chunked": chunked.delta_scan,
    "reference": reference.delta_scan,
}


def delta_scan(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    recall: Tensor,
    remove: Tensor,
    log_decay: Tensor | None = None,
    initial: Tensor | None = None,
    *,
    reset: Tensor | None = None,
    kernel: str | None = None,
) -> tuple[Tensor, Tensor]:
    """What the memory answers to each query, and the memory after the last token.

    query      (B, T, H, K) real floating point, reads the memory after the token
    key        (B, T, H, K), where the value is added
    value      (B, T, H, V)
    recall     (B, T, H, K), reads the memory before the token and before its decay
    remove     (B, T, H, K), where what was recalled is taken out
    log_decay  (B, T, H), one for each head, or (B, T, H, K), one for each key channel: at most 0 to forget, −inf to
               forget everything; None forgets nothing
    initial    (B, H, K, V) S_0 in the accumulation dtype, at least float32; zeros where absent
    reset      (B, T) bool; true where the state before the token is zero (not `initial`)
    kernel     cpu, cpu-portable (C++, token by token), chunked (matrix products over chunks of time, on any device) or
               reference (the loop); None takes what is fastest: cpu on the CPU but for large states of one decay a
               head, else chunked

    The delta rule of DeltaNet writes β (v − Sᵀk) at a key of length 1: recall = k, key = remove = β k. With a decay α
    before it, recall = α k. Pass one tensor for key and remove where they are equal: what they share is made once.
    The first five share a dtype; queries, keys, recalls and removals of one head serve all.

    Returns outputs (B, T, H, V) in the dtype of value, and final (B, H, K, V) in the accumulation dtype, as the
    `initial` of the next call takes it. T = 0 gives no outputs and the initial state. Any strides; what is not
    contiguous is copied once. O(B·T·H·K·V) work; chunked, with chunks of C = 64 tokens, at most
    B·T·H·(C·(5·K + 4·V) + 4·K·V) multiplications, in T / C steps one after the other. An output depends on the tokens
    up to its own bit by bit; chunked, provided that all numbers are finite.

    Differentiable in every floating tensor, from outputs and from final; to any order with chunked and reference.
    Shapes, dtypes, devices or a kernel that do not fit are UsageErrors.

    Sources: Yang et al., arXiv 2406.06484 (chunks of the delta rule); Yang et al., arXiv 2412.06464 (with decay).

    >>> import torch
    >>> key, value = torch.ones(1, 2, 1, 1), torch.tensor([3.0, 5.0]).view(1, 2, 1, 1)
    >>> outputs, final = delta_scan(key, key, value, key, key)
    >>> outputs.flatten().tolist(), final.flatten().tolist()
    ([3.0, 5.0], [5.0])
    """
    keys = {"query": query, "key": key, "recall": recall, "remove": remove}
    require_matrix_scan(NAME, keys, value, log_decay, initial, reset)
    form = pick(f"kernel of {NAME}", kernel or fused.choose(key, value, log_decay), FORMS)
    query, recall, added = (each.expand(-1, -1, value.shape[2], -1) for each in (query, recall, key))
    removed = added if remove is key else remove.expand(-1, -1, value.shape[2], -1)
    return form(query, added, value, recall, removed, log_decay, initial, reset)
