"""Values that the first layer of a stack hands to those above it, in one pass over the stack.

A mixer whose class says `shares_value = True` takes one of these as `first_value`, in `forward` and in `step`. Whoever
runs a stack makes one for each pass and gives it to every such layer, bottom first.
"""

from torch import Tensor, nn


class FirstValue:
    """Empty, until the first layer puts its values in; those above read them.

    A layer alone in its pass is the first. To run another on its own, put values in first:

    >>> import torch
    >>> shared, first, above = FirstValue(), nn.Identity(), nn.Identity()
    >>> shared.below(first, torch.ones(1)) is None, shared.below(above, torch.zeros(1)).item()
    (True, 1.0)
    """

    def __init__(self) -> None:
        self._layer: nn.Module | None = None
        self._value: Tensor | None = None
        self._backwards: FirstValue | None = None

    def backwards(self) -> "FirstValue":
        """That of the same pass over the sequence in the opposite order: the same at every call."""
        self._backwards = self._backwards or FirstValue()
        return self._backwards

    def below(self, layer: nn.Module, value: Tensor) -> Tensor | None:
        """The first layer's values; None to the first layer itself, whose `value` is kept."""
        # Asked again by the first layer, as activation checkpointing does, this is still the first.
        if self._layer is None or self._layer is layer:
            self._layer, self._value = layer, value
            return None
        return self._value
