"""Named directions of a width: a construction says that the symbol's code lies here and its place there."""

from typing import Any

import torch
from torch import Tensor, nn


class Directions:
    """A width cut into named pieces, in the order given.

    >>> at = Directions(symbol=3, place=4)
    >>> at.width, at["place"]
    (7, slice(3, 7, None))
    """

    def __init__(self, **sizes: int) -> None:
        self.slices: dict[str, slice] = {}
        self.width = 0
        for name, size in sizes.items():
            self.slices[name] = slice(self.width, self.width + size)
            self.width += size

    def __getitem__(self, name: str) -> slice:
        """Where a piece lies."""
        return self.slices[name]


def blank(model: nn.Module) -> None:
    """Set every parameter to 0, and the gains of norms to 1."""
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                parameter.fill_(1.0 if isinstance(module, nn.RMSNorm | nn.LayerNorm) and name == "weight" else 0.0)


def write_table(table: Any, which: slice, piece: slice, matrix: Tensor) -> None:
    """Write `matrix` into some rows and one piece of a table (…, width): an embedding's, of places, or a head's."""
    with torch.no_grad():
        table.weight[which, piece] = matrix.to(table.weight.dtype)


def codes(number: int) -> Tensor:
    """Different ±1 vectors for 0 … number − 1, (number, bits): the binary digits, 1 as +1.

    >>> codes(3).tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]]
    """
    bits = code_bits(number)
    digits = torch.arange(number)[:, None] >> torch.arange(bits - 1, -1, -1) & 1
    return 2.0 * digits - 1


def code_bits(number: int) -> int:
    """Digits that tell `number` things apart, at least 1.

    >>> [code_bits(number) for number in (1, 2, 3, 4, 5)]
    [1, 1, 2, 2, 3]
    """
    return max(1, (number - 1).bit_length())
