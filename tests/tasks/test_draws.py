"""Draws of several words: every order as likely, and weights that are respected."""

from itertools import permutations

import numpy as np
import pytest
import torch

from statewise.tasks.draws import distinct, normals, uniforms, weighted_distinct

MANY = 30_000


def words(count, width):
    return np.random.default_rng(0).integers(0, 2**64, size=(count, width), dtype=np.uint64)


@pytest.mark.parametrize(("drawn", "bound"), [(1, 1), (2, 4), (4, 4), (1, 6)])
def test_every_list_of_distinct_integers_is_as_likely(drawn, bound):
    found, counts = np.unique(distinct(words(MANY, drawn), bound), axis=0, return_counts=True)
    assert list(map(tuple, found.tolist())) == list(permutations(range(bound), drawn))
    expected = MANY / len(found)
    assert (abs(counts - expected) < 5 * expected**0.5).all()


def test_a_draw_is_a_function_of_its_own_words():
    many = words(50, 5)
    assert (distinct(many, 9)[7:9] == distinct(many[7:9], 9)).all()
    assert distinct(many[:0], 9).shape == (0, 5)


def test_uniforms_are_never_zero_or_one():
    ends = uniforms(np.array([[0, 2**64 - 1]], np.uint64))
    assert 0 < ends[0, 0] < 1e-15
    assert 1 - 1e-15 < ends[0, 1] < 1


def test_places_are_drawn_one_after_the_other_in_proportion_to_their_weights():
    weights = np.array([[4.0, 2.0, 1.0]])
    drawn = weighted_distinct(words(MANY, 3), weights, 2)
    for one, other in permutations(range(3), 2):
        share = ((drawn[:, 0] == one) & (drawn[:, 1] == other)).mean()
        expected = weights[0, one] / 7 * weights[0, other] / (7 - weights[0, one])
        assert abs(share - expected) < 5 * (expected * (1 - expected) / MANY) ** 0.5


def test_normals_have_the_quantiles_of_a_normal():
    words = np.random.default_rng(0).integers(0, 2**64, size=(1, 100_000), dtype=np.uint64)
    drawn = normals(words)[0]
    assert drawn.dtype == torch.float64
    levels = torch.tensor([0.025, 0.5, 0.975], dtype=torch.float64)
    assert torch.allclose(drawn.quantile(levels), torch.tensor([-1.96, 0.0, 1.96], dtype=torch.float64), atol=0.03)


def test_normals_are_finite_at_the_ends():
    ends = normals(np.array([[0, 2**64 - 1]], dtype=np.uint64))
    assert ends.abs().max() < 8.3
    assert ends.sum() == pytest.approx(0.0, abs=1e-9)
