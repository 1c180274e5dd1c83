import pytest
import torch

from statewise.core import UsageError
from statewise.tasks import Batch, InContextRegression


def test_pairs_belong_to_one_map_and_the_last_value_is_hidden():
    task = InContextRegression(inputs_dim=2, outputs_dim=1)
    batch = task.examples("train", seed=0, start=0, count=5, size=4)
    x, y = batch.tokens[:, :, :2].double(), batch.tokens[:, :, 2:].double()
    weight = torch.linalg.solve(x[:, :2], y[:, :2])
    assert torch.allclose(x[:, 2:4] @ weight, y[:, 2:4], atol=1e-4)
    assert not y[:, 4].any()
    assert torch.allclose((x[:, 4:] @ weight).float()[:, 0], batch.targets[:, 4], atol=1e-4)
    assert batch.scored.tolist() == [[False] * 4 + [True]] * 5


def test_the_rule_is_least_squares():
    tokens = torch.tensor([[[1.0, 2.0], [2.0, 4.0], [3.0, 0.0]]])
    answers = InContextRegression(inputs_dim=1, outputs_dim=1).solve(Batch(tokens, tokens[..., 1:], tokens[..., 0] > 0))
    assert answers.flatten().tolist() == [0.0, 0.0, 6.0]


def test_one_step_of_gradient_descent_at_the_best_rate_leaves_what_is_published():
    task = InContextRegression()
    batch = task.examples("train", seed=0, start=0, count=40000, size=12)
    x, y = batch.tokens.double().split([3, 3], dim=2)
    steps = torch.einsum("bto,bti,bi->bo", y[:, :-1], x[:, :-1], x[:, -1])
    targets = batch.targets[:, -1].double()
    best_rate = (steps * targets).mean() / steps.square().mean()
    assert best_rate == pytest.approx(1 / 14.8, rel=0.01)
    assert (best_rate * steps - targets).square().mean() == pytest.approx(1 - 12 / 14.8, rel=0.03)


@pytest.mark.parametrize("dims", [(0, 3), (3, 0)])
def test_no_channels_are_refused(dims):
    with pytest.raises(UsageError, match=rf"inputs_dim is {dims[0]} and outputs_dim is {dims[1]}; both must be at"):
        InContextRegression(*dims)


def test_too_few_pairs_are_refused():
    with pytest.raises(UsageError, match="size is 2; it must be at least inputs_dim, 3, or the pairs do not determine"):
        InContextRegression().sample(torch.Generator(), 1, 2)
