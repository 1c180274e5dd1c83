"""Parity: one bit is required, and what no stack of non-negatively decaying layers can do at every length."""

import math

from statewise.bounds.bound import Bound, whole


def required_bits(size: int) -> Bound:
    """Bits of state that any recurrent reader needs: 1, and 0 for a single token.

    Proof: after 1 … n−1 tokens an even and an odd prefix want different answers to the same continuation, and
    two prefixes of one parity never do. Exact; with one token the answer is that token, and no state is used.

    size  n, at least 1 (UsageError otherwise)

    The same whether every prefix is scored or only the last token.

    Source: Myhill-Nerode, two classes.

    >>> required_bits(size=5).value
    1.0
    """
    size = whole("parity.required_bits", "size", size, least=1)
    return Bound(
        value=float(size > 1),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any deterministic recurrent reader; a running parity reaches it",
        assumes="nothing more",
        source="Myhill-Nerode, two classes of prefixes",
    )


def cannot_at_all_lengths() -> Bound:
    """No number of layers with non-negative decay is right at every length: infinitely many would be needed.

    Proof: on the input 1, 1, 1, … a layer that is fed an eventually constant sequence ends up iterating one
    monotone map in each coordinate, h ↦ round(a·h + b) with a ≥ 0; in finite precision that becomes constant,
    so by induction the output of every layer does, while the parity alternates for ever.

    It binds stacks in which *every* mixer is a linear recurrence with diagonal decay ≥ 0 computed from the
    input, run step by step in finite precision, without positions, and it denies correctness at *all* lengths
    only: it says nothing about any one length, about positions, or about a layer in real arithmetic. One
    mixer of another kind in the stack (negative decay, a GRU, attention) and it does not apply.

    Source: Sarrof, Veitsman, Hahn 2024, arXiv 2405.17394, Theorem 2 (diagonal); Grazzi, Siems, Zela, Franke,
    Hutter, Pontil 2025 (ICLR), arXiv 2411.12537, Theorem 1 (any matrices with eigenvalues ≥ 0).

    >>> cannot_at_all_lengths().claim
    'layers: no number is enough'
    """
    return Bound(
        value=math.inf,
        unit="layers",
        direction="requirement",
        error="zero",
        holds_for="any stack made only of linear recurrences with diagonal decay ≥ 0, at all lengths at once",
        assumes="finite precision, unbounded length, no positions; silent about any one length",
        source="Sarrof et al. 2024, arXiv 2405.17394, Thm 2; Grazzi et al. 2025, arXiv 2411.12537, Thm 1",
    )
