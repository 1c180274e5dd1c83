"""One step of gradient descent on the pairs of the context, as one layer of linear attention and of a gated LRU.

    pair    [ x_i | y_i ]        value y_i, key x_i
    query   [ x   | 0   ]        query η x; the mixer adds η Σ y_i (x_i·x) where the 0 stood, and the head reads it

From W = 0 a step of rate η on ½ Σ |y_i − W x_i|² reaches W = η Σ y_i x_iᵀ, so the answer is that of the step, to the
rounding of sums; the query's own value is 0. It is not the task's answer: the best rate η* = 1/(n + d_x − 1/5) leaves
1 − n η* of the variance.

Proof. With C = Σ x_i x_iᵀ the error is W (1 − η C) x, whose mean square, for W and x of independent entries, is
1 − 2η tr E C / d_x + η² tr E C² / d_x = 1 − 2η n + η² n (n − 1 + E x⁴ + d_x − 1), and E x⁴ = 9/5 for entries that are
uniform with variance 1. It is least, 1 − n η, at η = 1/(n + d_x − 1/5).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from statewise.constructions.attention_maps import AttentionMaps
from statewise.constructions.construction import Construction
from statewise.constructions.directions import Directions, blank, write_table
from statewise.constructions.gated_attention import gates_of, write_gates
from statewise.constructions.heads import columns, layer, rows
from statewise.constructions.linear_attention import ROUNDING
from statewise.core.random import Words
from statewise.models import VectorModel
from statewise.tasks import Batch, InContextRegression

SOURCE = "von Oswald et al. 2022, arXiv 2212.07677; Zucchet et al. 2023, arXiv 2309.01775, §5; the best rate is derived"


@dataclass(frozen=True)
class OneGradientStep(InContextRegression):
    """In-context regression whose targets are what one step of gradient descent at the best rate answers.

    >>> task = OneGradientStep()
    >>> round(task.rate(12), 4), round(task.left_over(12), 3)
    (0.0676, 0.189)
    """

    name: ClassVar[str] = "one-gradient-step"

    def rate(self, size: int) -> float:
        """η*, the rate that leaves least."""
        return 1 / (size + self.inputs_dim - 0.2)

    def left_over(self, size: int) -> float:
        """Share of the regression's variance that the step leaves, on average over inputs and maps."""
        return 1 - size * self.rate(size)

    def build(self, words: Words, size: int, *, split: str, start: int) -> Batch:
        """The regression's inputs with the step's answers."""
        batch = super().build(words, size, split=split, start=start)
        return batch._replace(targets=self.solve(batch))

    def solve(self, batch: Batch) -> Tensor:
        """The step itself, in float64."""
        x, y = batch.tokens.double().split([self.inputs_dim, self.outputs_dim], dim=2)
        reached = self.rate(x.shape[1] - 1) * y[:, :-1].mT @ x[:, :-1]
        targets = torch.zeros(*y.shape, dtype=torch.float32)
        targets[:, -1] = (reached @ x[:, -1, :, None])[..., 0]
        return targets

    def chance(self, size: int) -> float:
        """The variance of the step's answer: with E C = n and E C² as above, n² η*² (1 + (d_x − 1/5)/n) = n η*."""
        return size * self.rate(size)


def linear_attention(size: int, *, inputs_dim: int = 3, outputs_dim: int = 3) -> Construction:
    """One layer of linear attention with one head, the step's answer at this size.

    size         pairs n, at least `inputs_dim`; the rate is the best for this number of them, and for no other
    inputs_dim   d_x, at least 1
    outputs_dim  d_y, at least 1

    >>> linear_attention(12).verify().exact
    True
    """
    task, at = asked(size, inputs_dim, outputs_dim)
    model = bare(task, at, "linear-attention", (f"head_size={at.width}",))
    mixer = layer(model, 0).mixer
    query, key, value = mixer.query_key_value.weight.unflatten(0, (3, at.width)).unbind(0)
    with torch.no_grad():
        query[at["x"], at["x"]] = task.rate(size) * torch.eye(inputs_dim).double()
        key[at["x"], at["x"]] = torch.eye(inputs_dim).double()
        value[at["y"], at["y"]] = torch.eye(outputs_dim).double()
        mixer.output.weight[at["y"], at["y"]] = torch.eye(outputs_dim).double()
    claim = f"one layer and head of linear attention takes one step of gradient descent, rate {task.rate(size):.4f}"
    return stepping("in-context-regression/linear-attention", model, task, size, claim)


def gated_lru(size: int, *, inputs_dim: int = 3, outputs_dim: int = 3) -> Construction:
    """One gated LRU of d_x d_y + d_x units, the step's answer at this size; settings as `linear_attention` has them.

    >>> gated_lru(12).model.blocks[0].mixer.units
    12
    """
    task, at = asked(size, inputs_dim, outputs_dim)
    maps = AttentionMaps(
        query=task.rate(size) * seen(at, "x"),
        key=seen(at, "x"),
        value=seen(at, "y"),
        output=columns(at.width, at["y"]).double(),
    )
    gates = gates_of(maps, form="dense")
    products, units = gates.read.shape
    model = bare(task, at, "gated-lru", (f"units={units}", f"outputs={products}", "constant=True"))
    write_gates(layer(model, 0).mixer, gates)
    claim = f"one gated LRU of {units} = d_x d_y + d_x units takes one step of gradient descent, rate "
    return stepping("in-context-regression/gated-lru", model, task, size, f"{claim}{task.rate(size):.4f}")


def asked(size: int, inputs_dim: int, outputs_dim: int) -> tuple[OneGradientStep, Directions]:
    """The step as a task, once it has this size, and where its inputs and answers lie."""
    task = OneGradientStep(inputs_dim=inputs_dim, outputs_dim=outputs_dim)
    InContextRegression(inputs_dim, outputs_dim).check_size(size)
    return task, Directions(x=inputs_dim, y=outputs_dim)


def bare(task: OneGradientStep, at: Directions, stack: str, settings: tuple[str, ...]) -> VectorModel:
    """One block that is its mixer alone, in float64: tokens enter as they are, and the head reads the piece `y`."""
    model = VectorModel(
        channels=task.channels, width=at.width, stack=stack, feed_forward=0, norm="none", mixer_settings=settings
    ).double()
    blank(model)
    write_table(model.embedding, slice(None), slice(None), torch.eye(at.width))
    write_table(model.head, slice(None), at["y"], torch.eye(task.outputs_dim))
    return model


def seen(at: Directions, piece: str) -> Tensor:
    """The map of one head that picks a piece out of the width and of the 1 after it, (1, its size, C)."""
    picked = rows(at.width, at[piece]).double()
    return torch.cat([picked, picked.new_zeros(len(picked), 1)], 1)[None]


def stepping(name: str, model: VectorModel, task: OneGradientStep, size: int, claim: str) -> Construction:
    """The construction, whose rate is right for one size alone."""
    return Construction(
        name=name,
        model=model.eval(),
        task=task,
        sizes=(size, size),
        precision=torch.float64,
        claim=f"{claim}, which leaves {task.left_over(size):.3f} of the variance",
        source=SOURCE,
        fails_at=size + 1,
        tolerance=ROUNDING,
    )
