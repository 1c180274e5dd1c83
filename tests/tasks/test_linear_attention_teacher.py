import pytest
import torch

from statewise.core import UsageError
from statewise.tasks import LinearAttentionTeacher


def test_targets_are_sums_of_values_weighted_by_scores():
    task = LinearAttentionTeacher(dim=2, teacher=3)
    batch = task.examples("train", seed=0, start=0, count=1, size=3)
    query, key, value = task.weights
    x = batch.tokens[0].double()
    for t in range(3):
        expected = sum((value @ x[s]) * ((key @ x[s]) @ (query @ x[t])) for s in range(t + 1))
        assert torch.allclose(batch.targets[0, t], expected.float(), atol=1e-5)
    assert batch.scored.all()


def test_teachers_are_functions_of_number_and_size_alone():
    one, other = LinearAttentionTeacher(teacher=1).weights, LinearAttentionTeacher(teacher=2).weights
    assert torch.equal(torch.stack(one), torch.stack(LinearAttentionTeacher(teacher=1).weights))
    assert not torch.equal(torch.stack(one), torch.stack(other))
    assert not torch.equal(one.query, one.key)


def test_the_spread_of_the_weights_is_one_over_the_dimension():
    weights = torch.stack(LinearAttentionTeacher(dim=100).weights)
    assert weights.var() == pytest.approx(0.01, rel=0.03)
    assert weights.mean() == pytest.approx(0.0, abs=0.002)


@pytest.mark.parametrize(("dim", "teacher"), [(0, 0), (4, -1)])
def test_no_dimension_and_negative_teachers_are_refused(dim, teacher):
    with pytest.raises(UsageError, match=f"dim is {dim} and teacher is {teacher}; they must be at least 1 and 0"):
        LinearAttentionTeacher(dim=dim, teacher=teacher)
