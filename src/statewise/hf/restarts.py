"""Where sequences start, from the ways in which callers of transformers say it.

B batch, T time, S tokens read before.
"""

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.padding import left_padding_reset


def restarts(
    tokens: Tensor, attention_mask: Tensor | None, position_ids: Tensor | None, reset: Tensor | None, seen: int
) -> Tensor | None:
    """True where a sequence starts, (B, T) bool; None where none starts but at the first token ever.

    tokens          (B, T)
    attention_mask  (B, S + T), 0 at padding: a sequence starts at its first real token
    position_ids    (B, T) or (1, T): a sequence starts where they are 0
    reset           (B, T) bool, as it is

    >>> restarts(torch.ones(1, 4), torch.tensor([[0, 0, 1, 1]]), None, None, seen=0).int().tolist()
    [[0, 0, 1, 0]]
    """
    found = [] if reset is None else [reset]
    if attention_mask is not None:
        padded = attention_mask[:, 0] == 0
        if told_apart(padded):
            # A row of padding alone counts as begun at once.
            first = attention_mask.to(torch.int64).argmax(1)
            found.append(left_padding_reset(attention_mask.shape[1] - first, attention_mask.shape[1])[:, seen:])
    if position_ids is not None:
        zero = (position_ids == 0).expand(tokens.shape)
        if told_apart(zero if seen else zero[:, 1:]):
            found.append(zero)
    return torch.stack(found).any(0) if found else None


def told_apart(starts: Tensor) -> bool:
    """Whether any of them is true; while a graph is traced, which cannot depend on it, that they may be."""
    return torch.compiler.is_compiling() or bool(starts.any())


def check_mask(tokens: Tensor, attention_mask: Tensor | None, seen: int, *, begun: bool) -> None:
    """Raise a UsageError for a mask that does not cover what was read, or that has padding after tokens were."""
    if attention_mask is None:
        return
    batch, length = tokens.shape
    if attention_mask.shape != (batch, seen + length):
        raise UsageError(
            f"StatewiseForCausalLM: attention_mask is {tuple(attention_mask.shape)}; it must be "
            f"{(batch, seen + length)}, over the {seen} tokens that the cache has read and the {length} of input_ids"
        )
    if begun and length > 1 and not torch.compiler.is_compiling() and not bool(attention_mask[:, seen:].all()):
        raise UsageError(
            "StatewiseForCausalLM: attention_mask has padding behind tokens that were read, and a state would read it "
            "too; continue sequences whose next tokens are equally many, or one at a time"
        )
