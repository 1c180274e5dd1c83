"""The linear attention that a gated LRU computes, read off its weights, and how far its function is from being one.

A unit of decay λ holds Σ_s λ^{t−s} x̄_sᵀ G x̄_s with G = sym(w vᵀ) of its two rows of the input gate. In
S = Σ_s x̄_s x̄_sᵀ and z = x̄_t x̄_tᵀ the output is therefore a polynomial

    y = A(S, S) + B(S, z) + C(z, z) + (all that involves units of other decays)

whose coefficients follow from the weights. S and z are independent in long sequences, units of other decays are
independent of both, and C matters only as a quartic form of x̄_t; A, B, C symmetric as they can be are then functions
of the layer's function, whatever its units' order, scale or mixing. Linear attention is the part of B that is linear in
x_t, a form T_{i,jk,l} (see `attention_maps`); everything else is what attention of no number of heads computes. T is
then fitted by a sum of H heads.

One head: T = sym_{jk} U_{ij} A_{kl}. Contracted with a vector r over i and c over l it is sym(u aᵀ), u = Uᵀr, a = A c,
whose one positive and one negative eigenvalue with their vectors give u and a but for their order. With u known A
follows by least squares, and U from A; the better order is kept, and both are improved in turn. Several heads have no
such formula: they start from one head after another, each fitted to what is left, and from random scores; the best fit
is kept, and may be a local one. At widths 4 and 6 heads of two and three channels were found in all of 36 trials, four
heads of one channel in 10 of 12, since least squares in turn is slow there. Of several heads only the form is
determined, not which head does what.

N units, M products, O outputs, D inputs, C = D + 1, H heads.
Source: Zucchet et al., arXiv 2309.01775, §4 (that trained layers are compared with attention up to such invariances,
by their polynomials); this form and its factoring are ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from statewise.constructions.attention_maps import AttentionMaps, trilinear, with_bias
from statewise.core.errors import UsageError
from statewise.mixers import GatedLRU
from statewise.mixers.gated_lru import reflected
from statewise.models import VectorModel

NEAR = 0.01
"""How far from 0 and 1 a decay counts as one of them."""

LARGEST = 2**27
"""Coefficients of one part of the polynomial that are written down, at most."""

RESTARTS = 8
"""Random starts of a fit of several heads that is not exact yet."""

EXACT = 1e-10
"""Distance, as a share of the form, at which a fit is not tried again."""

ROUNDS = 300
"""Least squares in turn of values and scores, at most."""

SETTLED = 1e-13
"""Improvement in one round, as a share of the form, at which a fit has settled."""


@dataclass(frozen=True)
class FoundAttention:
    """What was found.

    maps      one value map O V (O rows), and a key and query map, for each head
    outside   norm of the coefficients that attention of no number of heads has, as a share of all
    residual  norm of all coefficients that the maps miss, as a share of all: 0 where the function is these heads'
    summing, passing, other  units with λ at 1, at 0, and elsewhere
    rounding  the most by which a decay was moved to 0 or 1; what that changes is not in the residual
    """

    maps: AttentionMaps
    outside: float
    residual: float
    summing: int
    passing: int
    other: int
    rounding: float


@dataclass(frozen=True)
class Polynomial:
    """A layer's function. form (O, C, C, C) is T; `outside` the norm of all other coefficients."""

    form: Tensor
    outside: float


class Fit(NamedTuple):
    """O_h V_h (H, O, C) and K_hᵀQ_h (H, C, C), and the norm by which their form misses."""

    moved: Tensor
    scores: Tensor
    left: float


@torch.no_grad()
def from_gated_lru(layer: GatedLRU | VectorModel, *, heads: int = 1, near: float = NEAR) -> FoundAttention:
    """The linear attention of so many heads that is nearest to a gated LRU in coefficients of their polynomials.

    layer  a mixer, whose inputs and outputs are the width's; or a model of one such block alone (no norm, feed-forward,
           convolution or positions), whose inputs and outputs are the task's; its residual path counts
    heads  H, at least 1
    near   decays this near to 0 or 1 count as 0 and 1, in [0, 0.5)

    Works in float64. O(O·C⁴ + O·(C² + N)²) memory. What cannot be read is a UsageError.

    >>> from statewise.constructions.gated_attention import to_gated_lru
    >>> from statewise.mixers import LinearAttention
    >>> from_gated_lru(to_gated_lru(LinearAttention(3).double())).residual < 1e-10
    True
    """
    if heads < 1 or not 0 <= near < 0.5:
        raise UsageError(
            f"from_gated_lru: heads is {heads} and near is {near}; they must be at least 1, and in [0, 0.5)"
        )
    read = unwrapped(layer)
    decay = reflected(read.layer.decay.double())
    rounded = torch.where(decay <= near, 0.0, torch.where(decay >= 1 - near, 1.0, decay))
    polynomial = polynomial_of(read, rounded)
    fit = fitted(polynomial.form, heads)
    total = (polynomial.outside**2 + float(polynomial.form.square().sum())) ** 0.5 or 1.0
    summing, passing = int((rounded == 1).sum()), int((rounded == 0).sum())
    return FoundAttention(
        maps=factored(fit),
        outside=polynomial.outside / total,
        residual=(polynomial.outside**2 + fit.left**2) ** 0.5 / total,
        summing=summing,
        passing=passing,
        other=len(decay) - summing - passing,
        rounding=float((rounded - decay).abs().max()),
    )


@dataclass(frozen=True)
class Read:
    """A gated LRU between an affine map of its inputs (D + 1, C) and a linear one of its outputs (O, D).

    direct  (O, C): what of x̄ reaches the output beside the layer
    """

    layer: GatedLRU
    before: Tensor
    after: Tensor
    direct: Tensor


def unwrapped(layer: GatedLRU | VectorModel) -> Read:
    """The layer, and what a model has around it."""
    if isinstance(layer, GatedLRU):
        eye = torch.eye(layer.width + 1, dtype=torch.float64, device=layer.decay.device)
        return Read(layer, eye, eye[:-1, :-1], torch.zeros_like(eye[:-1]))
    if not isinstance(layer, VectorModel):
        raise UsageError(
            f"from_gated_lru: a {type(layer).__name__} was given; it must be a GatedLRU or a VectorModel of one"
        )
    config = layer.config
    found = {
        "stack": "+".join(config.layers),
        "norm": config.norm,
        "feed_forward": config.feed_forward,
        "conv": config.conv,
        "positions": config.positions,
    }
    needed = {"stack": "gated-lru", "norm": "none", "feed_forward": 0, "conv": 0, "positions": "none"}
    wrong = [f"{name}={found[name]!r}" for name in needed if found[name] != needed[name]]
    if wrong:
        raise UsageError(
            f"from_gated_lru: the model has {', '.join(wrong)}; it must be one bare layer: "
            + ", ".join(f"{name}={value!r}" for name, value in needed.items())
        )
    mixer = layer.blocks[0].mixer
    assert isinstance(mixer, GatedLRU)
    assert isinstance(layer.embedding, nn.Linear)
    assert isinstance(layer.head, nn.Linear)
    embedded, head = with_bias(layer.embedding).double(), layer.head.weight.double()
    one = torch.zeros_like(embedded[:1])
    one[:, -1] = 1
    return Read(mixer, torch.cat([embedded, one]), head, head @ embedded)


def polynomial_of(read: Read, decay: Tensor) -> Polynomial:
    """The coefficients, from products of what each factor of the output gate is in S, z and other memories."""
    layer, channels = read.layer, read.before.shape[1]
    if len(read.after) * channels**4 > LARGEST:
        raise UsageError(
            f"from_gated_lru: inputs have {channels - 1} channels and outputs {len(read.after)}, whose polynomial has "
            f"more than {LARGEST} coefficients; give a VectorModel, whose tokens have fewer channels than its width"
        )
    written = symmetric(seen(layer.write, layer, read.before), seen(layer.write_gate, layer, read.before))
    first = factor(with_bias(layer.read).double(), written, decay)
    second = (
        Factor.of_inputs(seen(layer.read_gate, layer, read.before), first)
        if layer.side_gate
        else factor(with_bias(layer.read_gate).double(), written, decay)
    )
    output = with_bias(layer.output).double()
    weights = read.after @ output[:, :-1]
    pairs = {
        (one, other): torch.einsum("om,mp,mq->opq", weights, getattr(first, one), getattr(second, other))
        for one in PARTS
        for other in PARTS
    }
    direct = read.direct.clone()
    direct[:, -1] += read.after @ output[:, -1]
    constant = torch.zeros(channels, dtype=torch.float64, device=direct.device)
    constant[-1] = 1
    own = symmetric(direct, constant.expand_as(direct))
    pairs["own", "own"] = pairs["own", "own"] + own[:, :, None] * symmetric(constant[None], constant[None])[:, None]
    crossed = pairs["sum", "own"] + pairs["own", "sum"].mT
    linear, rest = split(crossed.unflatten(1, (channels, channels)).unflatten(3, (channels, channels)))
    outside = [
        rest,
        (pairs["sum", "sum"] + pairs["sum", "sum"].mT) / 2,
        quartic(pairs["own", "own"], channels),
        pairs["sum", "other"] + pairs["other", "sum"].mT,
        pairs["own", "other"] + pairs["other", "own"].mT,
        (pairs["other", "other"] + pairs["other", "other"].mT) / 2,
    ]
    return Polynomial(linear, float(sum(part.square().sum() for part in outside)) ** 0.5)


PARTS = ("sum", "own", "other")


@dataclass(frozen=True)
class Factor:
    """One factor of every product, linear in S, z and other memories: sum and own (M, C²), other (M, R)."""

    sum: Tensor
    own: Tensor
    other: Tensor

    @classmethod
    def of_inputs(cls, rows: Tensor, like: "Factor") -> "Factor":
        """The factor that is rows (M, C) of x̄_t alone."""
        constant = torch.zeros_like(rows)
        constant[:, -1] = 1
        own = symmetric(rows, constant)
        return cls(torch.zeros_like(like.sum), own, torch.zeros_like(like.other))


def factor(rows: Tensor, written: Tensor, decay: Tensor) -> Factor:
    """Rows (M, N + 1) of the units and 1, in terms of S, z and other memories."""
    read, bias = rows[:, :-1], rows[:, -1]
    summing, passing = decay == 1, decay == 0
    own = read[:, passing] @ written[passing]
    own[:, -1] += bias
    others = [read.new_zeros(len(read), 0)]
    for rate in decay[~summing & ~passing].unique():
        same = decay == rate
        # An orthonormal basis of what these units hold: the norm of coefficients is then that of the function.
        held = torch.linalg.qr(written[same].mT, mode="reduced").R
        others.append(read[:, same] @ held.mT)
    return Factor(read[:, summing] @ written[summing], own, torch.cat(others, 1))


def seen(linear: nn.Linear, layer: GatedLRU, before: Tensor) -> Tensor:
    """Rows (…, C) of x̄ of a map of the layer's input and its constant."""
    rows = with_bias(linear).double()
    if layer.constant:
        rows = torch.cat([rows[:, :-2], rows[:, -2:].sum(1, keepdim=True)], 1)
    return rows @ before


def symmetric(left: Tensor, right: Tensor) -> Tensor:
    """The symmetric matrices of products of two linear forms (N, C) each, flat: (N, C²)."""
    product = left[:, :, None] * right[:, None]
    return ((product + product.mT) / 2).flatten(1)


def split(crossed: Tensor) -> tuple[Tensor, Tensor]:
    """B (O, C, C, C, C) as T (O, C, C, C), which is linear in x_t, and the part that is quadratic in it."""
    linear = 2 * crossed[..., -1]
    linear[..., -1] /= 2
    return linear, crossed[..., :-1, :-1]


def quartic(products: Tensor, channels: int) -> Tensor:
    """Coefficients (O, C⁴) of a quartic form from products (O, C², C²) of quadratic ones, symmetric in all axes."""
    form = products.unflatten(2, (channels, channels)).unflatten(1, (channels, channels))
    form = (form + form.permute(0, 3, 4, 1, 2)) / 2
    coefficients: Tensor = (form + form.transpose(2, 3) + form.transpose(2, 4)).flatten(1) / 3
    return coefficients


def fitted(form: Tensor, heads: int) -> Fit:
    """The nearest form of so many heads that was found."""
    fit = Fit(form.new_zeros(0, *form.shape[:2]), form.new_zeros(0, *form.shape[2:]), 0.0)
    for _ in range(heads):
        left = form - trilinear(fit.moved, fit.scores)
        fit = best(improved(form, torch.cat([fit.scores, start[None]])) for start in starts(left))
    generator = torch.Generator().manual_seed(0)
    size = float(form.square().sum()) ** 0.5
    for _ in range(RESTARTS if heads > 1 else 0):
        if fit.left <= EXACT * size:
            break
        scores = torch.randn(heads, *form.shape[2:], dtype=torch.float64, generator=generator).to(form)
        fit = best([fit, improved(form, scores)])
    return fit


def best(fits: Iterable[Fit]) -> Fit:
    """The nearest."""
    return min(fits, key=lambda fit: fit.left)


def starts(form: Tensor) -> list[Tensor]:
    """Scores A (C, C) for one head, for either order of u and a."""
    outputs, queries = leading(form.flatten(1)), leading(form.flatten(0, 2).mT)
    mixed = torch.einsum("i,ijkl->jkl", outputs, form)
    values, vectors = torch.linalg.eigh(mixed @ queries)
    up, down = values[-1].clamp(min=0).sqrt() * vectors[:, -1], (-values[0]).clamp(min=0).sqrt() * vectors[:, 0]
    return [solved_scores(mixed[None], moved[None, None])[0] for moved in (up + down, up - down)]


def leading(matrix: Tensor) -> Tensor:
    """The first left singular vector."""
    vector: Tensor = torch.linalg.svd(matrix, full_matrices=False).U[:, 0]
    return vector


def improved(form: Tensor, scores: Tensor) -> Fit:
    """Least squares for values and scores in turn, until the distance has settled."""
    size, before = float(form.square().sum()) ** 0.5, float("inf")
    for _ in range(ROUNDS):
        moved = solved_moved(form, scores)
        scores = solved_scores(form, moved)
        left = float((form - trilinear(moved, scores)).square().sum()) ** 0.5
        if before - left <= SETTLED * size:
            break
        before = left
    return Fit(moved, scores, left)


def solved_moved(form: Tensor, scores: Tensor) -> Tensor:
    """Values (H, O, C) for given scores (H, C, C)."""
    heads, channels = len(scores), form.shape[1]
    eye = torch.eye(channels).to(form)
    product = torch.einsum("ja,hkl->jklha", eye, scores)
    design = (product + product.transpose(0, 1)) / 2
    moved = least_squares(design.flatten(3).flatten(0, 2), form.flatten(1).mT)
    values: Tensor = moved.unflatten(0, (heads, channels)).transpose(1, 2)
    return values


def solved_scores(form: Tensor, moved: Tensor) -> Tensor:
    """Scores (H, C, C) for given values (H, O, C)."""
    heads, channels = len(moved), form.shape[1]
    eye = torch.eye(channels).to(form)
    product = torch.einsum("hij,ka->ijkha", moved, eye)
    design = (product + product.transpose(1, 2)) / 2
    scores: Tensor = least_squares(design.flatten(3).flatten(0, 2), form.flatten(0, 2)).unflatten(0, (heads, channels))
    return scores


def least_squares(design: Tensor, right: Tensor) -> Tensor:
    """The smallest solution, singular designs included."""
    solution: Tensor = torch.linalg.pinv(design, rtol=1e-12) @ right
    return solution


def factored(fit: Fit) -> AttentionMaps:
    """Maps with these products: keys and queries from the singular vectors of the scores, values as they are moved."""
    left, sizes, right = torch.linalg.svd(fit.scores)
    roots = sizes.sqrt()[:, :, None]
    output = torch.eye(fit.moved.shape[1]).to(fit.moved).repeat(1, len(fit.moved))
    return AttentionMaps(query=roots * right, key=roots * left.mT, value=fit.moved, output=output)
