"""The matrix recurrence  S_t = diag(e^{g_t}) S_{t−1} + k_t v_tᵀ,  y_t = S_tᵀ q_t,  as a function with gradients.

README.md beside this file has the equations, the work and which form runs when.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from statewise.core.errors import pick
from statewise.ops.checks import require_matrix_scan
from statewise.ops.matrix_scan import chunked, fused, reference

__all__ = ["matrix_scan"]

NAME = "matrix_scan"
FORMS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "cpu": partial(fused.matrix_scan, "cpu"),
    "cpu-portable": partial(fused.matrix_scan, "cpu-portable"),
    "chunked": chunked.matrix_scan,
    "reference": reference.matrix_scan,
}


def matrix_scan(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    log_decay: Tensor | None = None,
    initial: Tensor | None = None,
    *,
    reset: Tensor | None = None,
    kernel: str | None = None,
) -> tuple[Tensor, Tensor]:
    """What a state of matrices answers to each query, and the state after the last token; time is never unrolled.

    query, key  (B, T, H, K) real floating point; H may be 1, shared by all heads
    value       (B, T, H, V) of the same dtype
    log_decay   (B, T, H), one for each head, or (B, T, H, K), one for each key channel: at most 0 to forget, −inf to
                forget everything, any number in principle; None forgets nothing
    initial     (B, H, K, V) S_0 in the accumulation dtype, at least float32; zeros where absent
    reset       (B, T) bool; true where the state before the token is zero (not `initial`)
    kernel      cpu, cpu-portable (C++, token by token), chunked (matrix products over chunks of time, on any device) or
                reference (the loop); None takes what is fastest: cpu on the CPU but for large states of one decay a
                head, else chunked

    Returns outputs (B, T, H, V) in the dtype of value, and final (B, H, K, V) in the accumulation dtype, as an
    `initial` may be given to the next call. T = 0 gives no outputs and the initial state. Any strides; what is not
    contiguous is copied once. O(B·T·H·K·V) work, in chunks of C = 64 tokens O(B·T·H·(C·(K + V) + K·V)). An output
    depends on the tokens up to its own bit by bit.

    Differentiable in every floating tensor, from outputs and from final; to any order with chunked and reference.
    Shapes, dtypes, devices or a kernel that do not fit are UsageErrors.

    Sources: Katharopoulos et al., arXiv 2006.16236 (the recurrence); Yang et al., arXiv 2312.06635, §4 (chunks).

    >>> import torch
    >>> one = torch.ones(1, 3, 1, 1)
    >>> outputs, final = matrix_scan(one, one, one, torch.full((1, 3, 1), 0.5).log())
    >>> [round(y, 4) for y in outputs.flatten().tolist()], final.shape
    ([1.0, 1.5, 1.75], torch.Size([1, 1, 1, 1]))
    """
    require_matrix_scan(NAME, {"query": query, "key": key}, value, log_decay, initial, reset)
    form = pick(f"kernel of {NAME}", kernel or fused.choose(key, value, log_decay), FORMS)
    return form(query, key, value, log_decay, initial, reset)
