"""The polynomial that a map computes, found by evaluating it: exact to rounding where the degree is right.

N points, C channels in, O channels out, M monomials.
"""

from collections.abc import Callable
from itertools import combinations_with_replacement

import torch
from torch import Tensor
from torch.nn.functional import pad

from statewise.core.errors import RunError

POINTS_PER_MONOMIAL = 3
NOT_A_POLYNOMIAL = 1e-6
"""Share of the largest value that may be left unexplained at the points before a map is of another degree."""

Monomial = tuple[int, ...]
"""The channels that are multiplied, ascending: (0, 0, 2) is x₀² x₂, () is 1."""


def monomials_of(channels: int, degree: int) -> list[Monomial]:
    """Every monomial up to a degree.

    >>> monomials_of(2, 2)
    [(), (0,), (1,), (0, 0), (0, 1), (1, 1)]
    """
    return [
        monomial for power in range(degree + 1) for monomial in combinations_with_replacement(range(channels), power)
    ]


def polynomial_of(map_: Callable[[Tensor], Tensor], channels: int, degree: int) -> dict[Monomial, Tensor]:
    """The coefficients (O,) of a polynomial map (N, C) → (N, O) float64, by its monomials.

    Found by least squares over random points. A map that is not of that degree is a RunError.

    >>> found = polynomial_of(lambda x: x[:, :1] * x[:, 1:], 2, 2)
    >>> round(float(found[0, 1]), 9), round(abs(float(found[0, 0])), 9)
    (1.0, 0.0)
    """
    monomials = monomials_of(channels, degree)
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(POINTS_PER_MONOMIAL * len(monomials), channels, generator=generator, dtype=torch.float64)
    values = map_(points)
    # Every monomial as `degree` factors, the last of them a 1 beside the channels as often as needed.
    factors = torch.tensor([[*monomial, *[channels] * (degree - len(monomial))] for monomial in monomials])
    powers = pad(points, (0, 1), value=1.0)[:, factors].prod(-1)
    scale = powers.norm(dim=0)
    solution = torch.linalg.lstsq(powers / scale, values).solution
    left = (powers / scale @ solution - values).abs().amax()
    if left > NOT_A_POLYNOMIAL * values.abs().amax():
        raise RunError(f"polynomial: the map is no polynomial of degree {degree}; {left:.2g} of it is left")
    coefficients = solution / scale[:, None]
    return dict(zip(monomials, coefficients, strict=True))


def distance(ours: dict[Monomial, Tensor], theirs: dict[Monomial, Tensor]) -> float:
    """‖ours − theirs‖ / ‖theirs‖ over all coefficients; a monomial that one lacks is 0 there.

    >>> distance({(0,): torch.tensor([1.0])}, {(0,): torch.tensor([2.0])})
    0.5
    """
    zero = torch.zeros_like(next(iter(theirs.values())))
    gaps = [ours.get(monomial, zero) - theirs.get(monomial, zero) for monomial in {**ours, **theirs}]
    return float(torch.stack(gaps).norm() / torch.stack(list(theirs.values())).norm())
