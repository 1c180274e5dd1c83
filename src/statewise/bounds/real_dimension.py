"""Tasks over real vectors: how many real numbers a state needs, since no number of bits is defined.

Prefixes fall into infinitely many classes, and one real number with all its digits could hold any of them. Where the
state is a smooth function of what was read, classes that form a manifold need as many numbers as it has dimensions.
"""

from statewise.bounds.bound import Bound, whole

SMOOTH = "a state that is a smooth function of the vectors read; exact real numbers, so nothing about bits"
INVARIANCE = "invariance of domain: no smooth injection into fewer dimensions"


def regression(inputs: int, outputs: int) -> Bound:
    """Real numbers that a state needs for exact regression in context: max over t ≤ d_x of t·(d_x − t) + t·d_y.

    Proof: after t independent inputs what is known is their span, of t·(d_x − t) dimensions, and the map on it, of
    t·d_y. Two prefixes that differ in either are told apart: further pairs outside both spans, with generic values,
    complete them to different maps, and some input is sent to different places.

    inputs   d_x, at least 1 (UsageError otherwise)
    outputs  d_y, at least 1 (UsageError otherwise)

    At every size of the task, which is at least d_x. From d_y ≥ d_x − 1 on it is d_x · d_y, the map itself.

    Source: the argument above, with the dimension of the Grassmannian.

    >>> regression(inputs=3, outputs=3).value, regression(inputs=8, outputs=1).value
    (9.0, 20.0)
    """
    inputs, outputs = _positive("regression", inputs=inputs, outputs=outputs)
    return _requirement(
        max(t * (inputs - t) + t * outputs for t in range(inputs + 1)),
        holds_for="any recurrent reader that finds the map exactly; at the worst cut",
        source=f"span of the inputs and the map on it; {INVARIANCE}",
    )


def one_gradient_step(inputs: int, outputs: int) -> Bound:
    """Real numbers that a state needs to answer as one step of gradient descent from zero does: d_x · d_y.

    Proof: the answer is η Σ y xᵀ times the input that is asked about. With d_x independent inputs the sum can be any
    matrix, and matrices that differ send some input to different places. Keeping the sum is enough.

    inputs   d_x, at least 1 (UsageError otherwise)
    outputs  d_y, at least 1 (UsageError otherwise)

    Exact for these answers, which are not those of the task itself: a step leaves an error.

    Source: the argument above; that one layer of linear attention takes this step: Zucchet et al. 2023,
    arXiv 2309.01775.

    >>> one_gradient_step(inputs=3, outputs=3).value
    9.0
    """
    inputs, outputs = _positive("one_gradient_step", inputs=inputs, outputs=outputs)
    return _requirement(
        inputs * outputs,
        holds_for="any recurrent reader that answers as one step of gradient descent does; keeping the sum reaches it",
        source=f"any matrix can be the sum of y·xᵀ; {INVARIANCE}",
    )


def linear_attention(size: int, dim: int) -> Bound:
    """Real numbers that a state needs to follow a layer of linear attention: r·d − r(r−1)/2, r = min(n − 1, d).

    Proof: with invertible weights answers to all queries tell the sum of x xᵀ over the vectors read. After r of them it
    can be any positive semidefinite matrix of rank r: a manifold of r·d − r(r−1)/2 dimensions. Keeping it is enough.

    size  n, at least 1 (UsageError otherwise); the last vector meets the state before it, so n − 1 count
    dim   d, at least 1 (UsageError otherwise)

    From n = d + 1 on it is d(d+1)/2. The d units for the query in the gated recurrence that is usually drawn carry
    nothing from one token to the next.

    Source: the argument above; the recurrence: Zucchet et al. 2023, arXiv 2309.01775.

    >>> linear_attention(size=12, dim=4).value
    10.0
    """
    size, dim = _positive("linear_attention", size=size, dim=dim)
    rank = min(size - 1, dim)
    return _requirement(
        rank * dim - rank * (rank - 1) // 2,
        holds_for="any recurrent reader that follows the layer exactly; keeping the sum of x·xᵀ reaches it",
        source=f"positive semidefinite matrices of that rank; {INVARIANCE}",
        also="invertible weights, as generic ones are; ",
    )


def _requirement(dimensions: int, *, holds_for: str, source: str, also: str = "") -> Bound:
    return Bound(
        value=float(dimensions),
        unit="real dimensions",
        direction="requirement",
        error="zero",
        holds_for=holds_for,
        assumes=also + SMOOTH,
        source=source,
    )


def _positive(function: str, **values: int) -> tuple[int, ...]:
    return tuple(whole(f"real_dimension.{function}", name, value, least=1) for name, value in values.items())
