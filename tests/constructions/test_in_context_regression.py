"""One step of gradient descent, built of linear attention and of a gated LRU."""

import pytest
import torch

from statewise.constructions.in_context_regression import OneGradientStep, gated_lru, linear_attention
from statewise.core import UsageError
from statewise.tasks import InContextRegression

BUILDERS = [linear_attention, gated_lru]


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(("size", "dims"), [(12, (3, 3)), (1, (1, 1)), (2, (2, 5)), (200, (4, 1))])
def test_it_answers_as_the_step_does(build, size, dims):
    construction = build(size, inputs_dim=dims[0], outputs_dim=dims[1])
    verification = construction.verify(examples=64)
    assert verification.exact, verification.first
    assert construction.verify(construction.fails_at, examples=64).mistakes > 0


def test_the_gated_lru_has_a_unit_for_every_product_and_every_input_channel():
    assert gated_lru(12).model.blocks[0].mixer.units == 12
    assert gated_lru(12, inputs_dim=2, outputs_dim=5).model.blocks[0].mixer.units == 12
    assert gated_lru(12, outputs_dim=1).model.blocks[0].mixer.units == 6


def test_without_any_one_unit_it_fails():
    for unit in range(12):
        construction = gated_lru(12)
        with torch.no_grad():
            construction.model.blocks[0].mixer.write.weight[unit] = 0
        assert construction.verify(examples=32).mistakes == 32


@pytest.mark.parametrize("build", BUILDERS)
def test_it_leaves_0_189_of_the_regressions_variance(build):
    batch = InContextRegression().examples("test", seed=0, start=0, count=20_000, size=12)
    construction = build(12)
    with torch.no_grad():
        answers = torch.cat([construction.answers(tokens) for tokens in batch.tokens.split(5000)])
    errors = (answers - batch.targets)[:, -1].square().mean(1)
    assert construction.task.left_over(12) == pytest.approx(0.18919, abs=1e-5)
    assert abs(errors.mean() - 0.18919) < 4 * errors.std() / 20_000**0.5


def test_no_other_rate_leaves_less():
    task = OneGradientStep()
    batch = task.examples("test", seed=0, start=0, count=20_000, size=12)
    targets = InContextRegression().solve(batch)[:, -1]
    steps = batch.targets[:, -1]
    best = task.rate(12) * float((steps * targets).mean() / (steps * steps).mean())
    assert task.rate(12) == pytest.approx(0.0676, abs=5e-5)
    assert best == pytest.approx(task.rate(12), rel=0.02)


def test_a_step_by_hand():
    task = OneGradientStep(inputs_dim=1, outputs_dim=1)
    tokens = torch.tensor([[[2.0, 6.0], [1.0, 3.0], [4.0, 0.0]]])
    batch = task.examples("test", seed=0, start=0, count=1, size=2)._replace(tokens=tokens)
    # W = η (6·2 + 3·1) with η = 1/(2 + 1 − 0.2).
    assert task.solve(batch)[0, :, 0].tolist() == pytest.approx([0, 0, 15 / 2.8 * 4])


def test_answers_have_the_variance_that_is_stated():
    task = OneGradientStep()
    targets = task.examples("test", seed=0, start=0, count=20_000, size=12).targets[:, -1]
    assert float(targets.square().mean()) == pytest.approx(task.chance(12), rel=0.02)


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (2, {}, "in-context-regression: size is 2; it must be at least inputs_dim, 3"),
        (0, {}, "in-context-regression: size is 0; it must be a positive integer"),
        (4, {"inputs_dim": 0}, "in-context-regression: inputs_dim is 0"),
    ],
)
def test_what_cannot_be_built_is_refused(build, size, settings, message):
    with pytest.raises(UsageError, match=message):
        build(size, **settings)
