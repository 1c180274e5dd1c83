"""In-context regression: pairs of a linear map that is drawn anew for every sequence, then one input without its value.

    x        x₁  x₂  …  x_n   x
    y        y₁  y₂  …  y_n   0           y_i = W x_i
    target   ·   ·   …  ·    W x          (· is not scored)

Each token is (x; y). One step of gradient descent from W = 0 answers η Σ y_i (x_iᵀ x), which one layer of linear
attention computes; at the best rate, 1/(n + d_x − 1/5), it leaves 1 − n/(n + d_x − 1/5) of the target's variance.
Least squares leaves nothing.

Source: Zucchet, Kobayashi, Akram, von Oswald, Larcher, Steger, Sacramento, arXiv 2309.01775, §5. That d_x = d_y = 3,
n = 12, inputs are uniform on [−√3, √3] and the map is Gaussian is from memory; the best rate under these, 0.0676, is
the published one.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from statewise.core.errors import UsageError
from statewise.core.random import Words
from statewise.tasks.draws import normals, uniforms
from statewise.tasks.task import Batch, Task
from statewise.tasks.vectors import VectorTask, score_last_vector


@dataclass(frozen=True)
class InContextRegression(VectorTask):
    """`size` pairs (x, W x) and one x. Inputs have variance 1 in each channel, and so have targets.

    inputs_dim   d_x, at least 1; a size is at least as large, or the pairs would not determine the map
    outputs_dim  d_y, at least 1

    >>> task = InContextRegression()
    >>> batch = task.sample(torch.Generator().manual_seed(0), batch_size=2, size=12)
    >>> batch.tokens.shape, batch.targets.shape
    (torch.Size([2, 13, 6]), torch.Size([2, 13, 3]))
    """

    name: ClassVar[str] = "in-context-regression"
    inputs_dim: int = 3
    outputs_dim: int = 3

    def __post_init__(self) -> None:
        if self.inputs_dim < 1 or self.outputs_dim < 1:
            raise UsageError(
                f"in-context-regression: inputs_dim is {self.inputs_dim} and outputs_dim is {self.outputs_dim}; both "
                "must be at least 1"
            )

    @property
    def channels(self) -> tuple[int, int]:
        """d_x + d_y and d_y."""
        return self.inputs_dim + self.outputs_dim, self.outputs_dim

    def check_size(self, size: int) -> None:
        """Raise unless the pairs determine the map."""
        Task.check_size(self, size)
        if size < self.inputs_dim:
            raise UsageError(
                f"in-context-regression: size is {size}; it must be at least inputs_dim, {self.inputs_dim}, or the "
                "pairs do not determine the map"
            )

    def length(self, size: int) -> int:
        """The pairs and the input that is asked about."""
        return size + 1

    def cut(self, size: int) -> int:
        """After the pairs."""
        return size

    def num_words(self, size: int) -> int:
        """One word for each entry of the inputs and of the map."""
        return self.inputs_dim * (size + 1 + self.outputs_dim)

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """Inputs from the first words, the map from the rest."""
        drawn = self.inputs_dim * (size + 1)
        x = 3**0.5 * (2 * torch.from_numpy(uniforms(words[:, :drawn])) - 1)
        # Rounded first: the rule must hold for the inputs that are read.
        x = x.view(-1, size + 1, self.inputs_dim).float().double()
        weight = normals(words[:, drawn:]).view(-1, self.outputs_dim, self.inputs_dim) / self.inputs_dim**0.5
        y = x @ weight.mT
        shown = y.clone()
        shown[:, -1] = 0
        return score_last_vector(torch.cat([x, shown], dim=2).float(), y[:, -1].float())

    def solve(self, batch: Batch) -> Tensor:
        """Least squares over the pairs, in float64."""
        x, y = batch.tokens.double().split([self.inputs_dim, self.outputs_dim], dim=2)
        weight = torch.linalg.lstsq(x[:, :-1], y[:, :-1]).solution
        answers = (x[:, -1:] @ weight)[:, 0]
        return score_last_vector(batch.tokens, answers.float()).targets

    def chance(self, size: int) -> float:
        """The variance of a target."""
        return 1.0
