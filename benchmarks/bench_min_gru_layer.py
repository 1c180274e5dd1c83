"""Is a minGRU layer as fast as its matrix products, and how does it compare with the GRUs that people use?

Forward and backward in training: gradients of the input and of every parameter. `products` are the layer's own two
linear maps and nothing else.
"""

from collections.abc import Callable
from functools import partial

import torch
from bench_linear_scan import Row
from minGRU_pytorch import minGRU
from timing import medians, show, steady
from torch import Tensor, nn

from statewise.mixers import MinGRU

SHAPES = ((64, 512, 64), (16, 512, 256), (4, 4096, 256))
GRU_GOALS = (1 / 4, 1 / 4, 1 / 8)


class LoopedGRU(nn.Module):
    """A GRU as a Python loop over time: the baseline of the minimal-RNN paper."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        hidden, outputs = x.new_zeros(x.shape[0], x.shape[2]), []
        for token in x.unbind(1):
            hidden = self.cell(token, hidden)
            outputs.append(hidden)
        return torch.stack(outputs, 1)


def training(function: Callable[[Tensor], Tensor], shape: tuple[int, int, int]) -> Callable[[], None]:
    """Forward and backward, as work."""
    x, grad = torch.randn(shape, requires_grad=True), torch.randn(shape)

    def work() -> None:
        function(x).backward(grad)

    return work


def products(layer: MinGRU, x: Tensor) -> Tensor:
    """The layer's matrix products alone: projection and output, the scan left out."""
    return layer.output(layer.projection(x)[..., : layer.units])


def table(shape: tuple[int, int, int], goal: float) -> list[Row]:
    """One shape against all."""
    width = shape[-1]
    layer, gru, theirs, looped = MinGRU(width), nn.GRU(width, width, batch_first=True), minGRU(width), LoopedGRU(width)
    ours = training(lambda x: layer(x)[0], shape)
    rows: list[Row] = []
    for name, function, aim, runs in (
        ("its matrix products alone", partial(products, layer), 1.35 if width > 64 else None, 15),
        ("torch.nn.GRU", lambda x: gru(x)[0], goal, 7),
        ("minGRU-pytorch 0.2.1", theirs, 1 / 4, 7),
        ("a GRU as a Python loop", looped, 1 / 15, 2),
    ):
        spent = medians({"ours": ours, "theirs": training(function, shape)}, runs)
        rows.append((f"{shape} against {name}", spent["ours"], spent["theirs"], aim))
    return rows


def main() -> None:
    """Print one table."""
    steady()
    show(
        "a minGRU layer, forward + backward",
        [row for pair in zip(SHAPES, GRU_GOALS, strict=True) for row in table(*pair)],
    )


if __name__ == "__main__":
    main()
