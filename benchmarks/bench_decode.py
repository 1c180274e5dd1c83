"""What does one token cost when decoding? Four stacked layers of width 256, batch 1, nothing between them."""

from functools import partial

import torch
from bench_linear_scan import Row
from timing import medians, show, steady, threads
from torch import Tensor, nn

from statewise.mixers import MinGRU

WIDTH, LAYERS = 256, 4


def step(layers: list[MinGRU], x: Tensor, states: list) -> None:
    """One token through all layers."""
    for index, layer in enumerate(layers):
        x, states[index] = layer.step(x, states[index])


def main() -> None:
    """Print one table."""
    steady()
    layers, gru = [MinGRU(WIDTH) for _ in range(LAYERS)], nn.GRU(WIDTH, WIDTH, num_layers=LAYERS, batch_first=True)
    x, hidden, states = torch.randn(1, WIDTH), torch.zeros(LAYERS, 1, WIDTH), [each.initial_state(1) for each in layers]
    late = [layer(torch.randn(1, 4096, WIDTH))[1] for layer in layers]
    with torch.no_grad(), threads(1):
        spent = medians(
            {
                "ours": partial(step, layers, x, states),
                "late": partial(step, layers, x, late),
                "gru": partial(gru, x.unsqueeze(1), hidden),
            },
            301,
        )
    rows: list[Row] = [
        ("against torch.nn.GRU at T = 1", spent["ours"], spent["gru"], 0.6),
        ("after 4,096 tokens against after none", spent["late"], spent["ours"], None),
    ]
    show("one decode step", rows)


if __name__ == "__main__":
    main()
