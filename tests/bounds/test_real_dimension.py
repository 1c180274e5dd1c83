"""Real dimensions: the rank of what has to be told apart, as a function of the vectors that were read."""

import pytest
import torch

from statewise.bounds import bounds_of, real_dimension
from statewise.core.errors import UsageError
from statewise.tasks import InContextRegression, LinearAttentionTeacher


def rank_of(function, *arguments):
    """Rank of the Jacobian at one point, float64."""
    parts = torch.autograd.functional.jacobian(function, arguments)
    outputs = function(*arguments).numel()
    jacobian = torch.cat([part.reshape(outputs, -1) for part in parts], dim=1)
    return int(torch.linalg.matrix_rank(jacobian, rtol=1e-9))


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def span_and_map(x, weight):
    """The projection on the span of the rows of x (t, d_x), and the map on that span."""
    projection = x.mT @ torch.linalg.solve(x @ x.mT, x)
    return torch.cat([projection.flatten(), (weight @ projection).flatten()])


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (3, 3), (3, 1), (4, 1), (5, 2), (2, 4)])
def test_regression_is_told_apart_by_span_and_map(inputs, outputs):
    ranks = [rank_of(span_and_map, normal(t, inputs), normal(outputs, inputs)) for t in range(1, inputs + 1)]
    assert real_dimension.regression(inputs, outputs).value == max(ranks)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (3, 3), (3, 1), (2, 4)])
def test_a_gradient_step_is_told_apart_by_the_whole_sum(inputs, outputs):
    rank = rank_of(lambda x, weight: (weight @ x.mT @ x).flatten(), normal(inputs, inputs), normal(outputs, inputs))
    assert real_dimension.one_gradient_step(inputs, outputs).value == rank


@pytest.mark.parametrize("dim", [1, 3, 4])
@pytest.mark.parametrize("size", [2, 3, 4, 5, 9])
def test_linear_attention_is_told_apart_by_a_symmetric_sum(size, dim):
    query, key, value = LinearAttentionTeacher(dim=dim).weights
    rank = rank_of(lambda x: (value @ x.mT @ x @ key.mT @ query).flatten(), normal(size - 1, dim))
    assert real_dimension.linear_attention(size, dim).value == rank


def test_numbers_of_the_published_sizes():
    assert real_dimension.linear_attention(1, 4).value == 0
    assert [bound.claim for bound in bounds_of(LinearAttentionTeacher(), 12)] == ["real dimensions: at least 10"]
    regression = bounds_of(InContextRegression(), 12)
    assert [bound.claim for bound in regression] == ["real dimensions: at least 9"] * 2
    assert all("smooth" in bound.assumes and "nothing about bits" in bound.assumes for bound in regression)


def test_the_tasks_own_fields_count():
    assert [b.value for b in bounds_of(InContextRegression(inputs_dim=8, outputs_dim=1), 9)] == [20, 8]
    assert [b.value for b in bounds_of(LinearAttentionTeacher(dim=3), 9)] == [6]


def test_arguments_outside_their_domain_are_refused():
    with pytest.raises(
        UsageError, match=r"real_dimension\.regression: inputs is 0; it must be an integer of at least 1"
    ):
        real_dimension.regression(0, 1)
    with pytest.raises(UsageError, match=r"real_dimension\.one_gradient_step: outputs is 0; it must be"):
        real_dimension.one_gradient_step(1, 0)
    with pytest.raises(UsageError, match=r"real_dimension\.linear_attention: size is 0; it must be"):
        real_dimension.linear_attention(0, 4)
