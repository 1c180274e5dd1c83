"""Bounded Dyck languages: bits that a recurrent reader needs, and the size that one attention layer needs.

n types of brackets, k the depth, N the size (brackets in the string), t a cut: t brackets were read.
"""

import math

from statewise.bounds.attention import SEPARATIONS, one_layer_size
from statewise.bounds.bound import Bound, whole
from statewise.core.errors import UsageError

AUTOMATON = "Myhill-Nerode; Dyck-(n, k) is regular: Bhattamishra et al. 2024, arXiv 2406.09347"


def required_bits(size: int, types: int, depth: int) -> Bound:
    """Bits of state that any reader needs at its worst cut, size and position being known to it.

        log2(1 + max_t Σ n^d over d ≤ min(k, t, N − t) with d ≡ t (mod 2))

    Proof: a prefix that can still be completed is its stack of open brackets, whose height d has the parity
    of t and leaves room to close; stacks that differ are told apart by a string that closes one of them; any
    other prefix is rejected, one class more. Every continuation is allowed, so this is exact.

    size   N, even and at least 2 (UsageError otherwise)
    types  n, at least 1 (UsageError otherwise)
    depth  k, at least 1 (UsageError otherwise)

    The answer may use the last token itself besides the state before it, so the cut t = N asks for nothing.

    Source: Myhill-Nerode; that Dyck-(n, k) is regular is in Bhattamishra, Hahn, Blunsom, Kanade 2024,
    arXiv 2406.09347.

    >>> 2 ** required_bits(size=8, types=1, depth=2).value
    3.0
    """
    size, types, depth = _checked("required_bits", size, types, depth)
    # min(k, t, N − t) grows up to the middle, so of each parity of t the cut nearest to it is the worst.
    middle = size // 2
    live = max(sum(types**d for d in range(t % 2, min(depth, t) + 1, 2)) for t in (middle, middle - 1))
    return Bound(
        value=math.log2(1 + live),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any deterministic recurrent reader of this size; the automaton reaches it",
        assumes="size and position are known to the reader",
        source=AUTOMATON,
    )


def required_bits_all_lengths(types: int, depth: int) -> Bound:
    """Bits of state of one reader for strings of every length: log2(1 + Σ_{d≤k} n^d).

    Proof: the stacks of height up to k are told apart as in `required_bits`, and there is one class of
    rejected prefixes; these are the states of the smallest automaton.

    types  n, at least 1 (UsageError otherwise)
    depth  k, at least 1 (UsageError otherwise)

    Never below `required_bits`, because such a reader does not know where it stands.

    Source: as `required_bits`.

    >>> 2 ** required_bits_all_lengths(types=2, depth=2).value
    8.0
    """
    _, types, depth = _checked("required_bits_all_lengths", 2, types, depth)
    return Bound(
        value=math.log2(1 + sum(types**d for d in range(depth + 1))),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any one deterministic recurrent reader for every length; the automaton reaches it",
        assumes="transitions that do not depend on size or position",
        source=AUTOMATON,
    )


def attention_layer_size(size: int, types: int, depth: int, precision: int = 32) -> Bound:
    """Width times heads that a model of one attention layer needs, for depth 2 and two types or more.

        m·H ≥ (N/2 − 1 + (N/2)·log2 n) / (3·(p + log2 N))

    Proof: in a member of depth 2, each odd bracket opens at depth 0 or closes at depth 2, so the odd brackets
    determine the even ones and conversely; the 2^(N/2−1)·n^(N/2) members are therefore a fooling set for two
    parties who hold the odd and the even places, and they can run one layer with 3·m·(p + log2 N)·H bits.

    size       N, even and at least 2 (UsageError otherwise)
    types      n, at least 2 (UsageError: for one type it is not proved)
    depth      2 (UsageError: for other depths it is not proved)
    precision  p, bits of each number, at least 1 (UsageError otherwise)

    At practical sizes this is far below any width in use (3.3 at N = 400, above 64 from N ≈ 8,700 on), so it
    gives no verdict there; nothing of the kind is known for two layers.

    Source: Bhattamishra, Hahn, Blunsom, Kanade 2024, arXiv 2406.09347, Theorem 5 with Lemma 1 for n = 2, the
    fooling set above for more types; the constant 3 is that of Theorem 4.

    >>> round(attention_layer_size(size=400, types=2, depth=2).value, 1)
    3.3
    """
    where = "dyck.attention_layer_size"
    size, types, depth = _checked("attention_layer_size", size, types, depth)
    if not proved_for_attention(types, depth):
        raise UsageError(
            f"{where}: types is {types} and depth is {depth}; proved for at least 2 types and depth 2 only"
        )
    return one_layer_size(
        size / 2 - 1 + size / 2 * math.log2(types),
        size,
        precision,
        where=where,
        source=f"{SEPARATIONS}, Theorem 5 with Lemma 1, for two types",
    )


def proved_for_attention(types: int, depth: int) -> bool:
    """Whether `attention_layer_size` has a proof for these brackets.

    >>> proved_for_attention(types=2, depth=2), proved_for_attention(types=2, depth=3)
    (True, False)
    """
    return types >= 2 and depth == 2


def _checked(function: str, size: int, types: int, depth: int) -> tuple[int, int, int]:
    where = f"dyck.{function}"
    return (
        whole(where, "size", size, least=2, multiple=2),
        whole(where, "types", types, least=1),
        whole(where, "depth", depth, least=1),
    )
