"""The attention that is recovered from a student's weights, beside its teacher's, up to what outputs do not depend on.

y_t = Σ_{s≤t} V x_s · (K x_s)ᵀ (Q x_t)        outputs depend on V and on KᵀQ alone, and not on a factor between them
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from statewise.constructions.attention_maps import trilinear
from statewise.constructions.found_attention import from_gated_lru
from statewise.models import Backbone, VectorModel
from statewise.tasks.linear_attention_teacher import TeacherWeights


@dataclass(frozen=True)
class Recovery:
    """Distances as shares of the teacher's norms.

    form      between the trilinear forms, on which outputs depend
    values    between V, each scaled to norm 1, the nearer sign
    scores    between KᵀQ, likewise
    residual  share of the student's polynomial that is no attention of one head
    """

    form: float
    values: float
    scores: float
    residual: float


def recovered(model: Backbone, teacher: TeacherWeights, *, near: float) -> Recovery:
    """The distances of a student; decays as near as `near` to 0 and 1 count as these."""
    found = from_gated_lru(cast(VectorModel, model), near=near)
    moved, scores = found.maps.moved, found.maps.scores
    # The teacher's maps do not see the constant beside its inputs.
    values = torch.nn.functional.pad(teacher.value, (0, 1))
    products = torch.nn.functional.pad(teacher.key.mT @ teacher.query, (0, 1, 0, 1))
    form = trilinear(values[None], products[None])
    return Recovery(
        form=float((found.maps.form - form).norm() / form.norm()),
        values=direction_gap(moved[0], values),
        scores=direction_gap(scores[0], products),
        residual=found.residual,
    )


def direction_gap(ours: Tensor, theirs: Tensor) -> float:
    """Distance of two tensors scaled to norm 1, the nearer sign.

    >>> direction_gap(torch.tensor([0.0, -2.0]), torch.tensor([0.0, 1.0]))
    0.0
    """
    ours, theirs = ours / ours.norm(), theirs / theirs.norm()
    return float(min((ours - theirs).norm(), (ours + theirs).norm()))
