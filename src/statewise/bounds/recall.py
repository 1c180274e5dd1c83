"""Recall of values by keys: bits that a recurrent reader needs, and the accuracy that fewer bits leave.

n the pairs that are shown, K the keys, v the values, S bits of state after the pairs, M = 2^S states.
"""

import math
from fractions import Fraction

from statewise.bounds.attention import SEPARATIONS
from statewise.bounds.bound import Bound, whole
from statewise.core.errors import UsageError

ANY_READER = "any deterministic recurrent reader"


def mqar_required_bits(size: int, values: int, *, replace_values: bool = False) -> Bound:
    """Bits of state after the pairs that any reader of MQAR needs: log2[v!/(v − n)!], or n · log2 v with repeats.

    Proof: show the same n keys in the same order; two lists of values then differ at some key, which is asked.

    size            n, at least 1, and at most v where values do not repeat (UsageError otherwise)
    values          v, at least 2 (UsageError otherwise)
    replace_values  whether values may repeat

    Exact where every key is shown (n = K). The number usually quoted, log2[C(K, n) · v!/(v − n)!], counts the
    set of keys too; it is an upper bound, `mqar_enough_bits`, since the queries name the keys.

    Source: counting, on the layout of Arora et al. 2023, arXiv 2312.04927.

    >>> round(mqar_required_bits(size=4, values=4096).value, 1)
    48.0
    """
    size, values = _sizes("mqar_required_bits", size, values, repeat=replace_values)
    lists = values**size if replace_values else math.perm(values, size)
    return _requirement(
        math.log2(lists),
        f"values that {'may repeat' if replace_values else 'do not repeat'}; after the pairs, before the queries",
        "counting the lists of values of one list of keys",
    )


def associative_required_bits(size: int, values: int) -> Bound:
    """Bits of state before the query that any reader of single-query associative recall needs: n · log2 v.

    Proof: show the same n keys in the same order; two lists of values then differ at some key, which may be asked.

    size    n, at least 1 (UsageError otherwise)
    values  v, at least 2 (UsageError otherwise)

    Exact where every key is shown (n = K); with more keys the least number of states is that of the rows of a
    covering array, CAN(n, K, v), of which v^n is the trivial lower bound: see `cut_enough_bits`.

    Source: INDEX; Bhattamishra, Hahn, Blunsom, Kanade 2024, arXiv 2406.09347, Proposition 9.

    >>> associative_required_bits(size=8, values=16).value
    32.0
    """
    size, values = _sizes("associative_required_bits", size, values)
    return _requirement(
        size * math.log2(values),
        "distinct keys, values that may repeat; before the query",
        "one-way complexity of INDEX; Bhattamishra et al. 2024, arXiv 2406.09347, Proposition 9",
    )


def cut_enough_bits(size: int, keys: int, values: int) -> Bound:
    """Bits that are enough at the cut after the pairs, keys being distinct and only shown keys being asked.

        log2 min(v^K, ⌊v^n · ln(C(K, n) · v^n)⌋ + 1)

    Proof: a state is a total map from keys to values; some N maps contain every map of n keys once
    C(K, n) · v^n · (1 − v^−n)^N < 1, and then the reader keeps the number of one that agrees with the pairs.

    size    n, at least 1 and at most K (UsageError otherwise)
    keys    K, at least 1 (UsageError otherwise)
    values  v, at least 2 (UsageError otherwise)

    For this one cut: a reader of the pairs one by one may need more, see `enough_bits`. The maps exist, but
    are not written down.

    Source: covering arrays, their existence by the probabilistic method.

    >>> cut_enough_bits(size=2, keys=2, values=2).value
    2.0
    """
    size, keys, values = _sizes_of("cut_enough_bits", size, keys, values)
    shown = values**size
    # Maps of n keys that are to be contained: C(K, n) · v^n; ln of an int does not overflow.
    covering = _product_floor(shown, math.log(math.comb(keys, size) * shown)) + 1
    return Bound(
        value=math.log2(min(values**keys, covering)),
        unit="bits",
        direction="construction",
        error="zero",
        holds_for="some assignment of states to the lists of pairs, at this one cut",
        assumes="distinct keys, and only shown keys are asked; after the pairs, before the queries",
        source="covering arrays, their existence by the probabilistic method",
    )


def enough_bits(size: int, keys: int, values: int, *, replace_values: bool = True) -> Bound:
    """Bits with which a reader of the pairs, one by one, is right: the better one of a table and a list.

        table  log2(K · v^K)                                          every key's value, and the key just read
        list   log2 max_j(C(K, j) · v^j · (K − j) for j < n, C(K, n) · v^n)     the pairs so far, without order

    Proof: either is kept up to date by the next token, and holds the answer to every query. The key just read
    is dropped after the last pair; v^j is v!/(v − j)! where values do not repeat.

    size            n, at least 1 and at most K (UsageError otherwise)
    keys            K, at least 1 (UsageError otherwise)
    values          v, at least 2, and at least n where values do not repeat (UsageError otherwise)
    replace_values  whether values may repeat: always in single-query associative recall

    Source: two readers written down.

    >>> 2 ** enough_bits(size=2, keys=3, values=2).value
    12.0
    """
    size, keys, values = _sizes_of("enough_bits", size, keys, values, repeat=replace_values)
    lists = most = 1
    for shown in range(size):
        most = max(most, lists * (keys - shown))
        lists = lists * (keys - shown) * (values if replace_values else values - shown) // (shown + 1)
    held_as_list = max(most, lists)
    return _table_or_list(keys * values**keys, held_as_list, "distinct keys, and only shown keys are asked")


def mqar_enough_bits(size: int, keys: int, values: int, *, replace_values: bool = False) -> Bound:
    """Bits with which a reader of MQAR is right: `enough_bits`, values not repeating unless said otherwise.

    >>> round(mqar_enough_bits(size=4, keys=4095, values=4096).value)
    91
    """
    return enough_bits(size, keys, values, replace_values=replace_values)


def attention_width(size: int, keys: int, values: int) -> Bound:
    """Channels with which two attention layers of one head are right on every list of pairs: O(log n + log K + log v).

        value = 2b + c + a + 1,   b = max(1, ⌈log2 K⌉), c = ⌈log2 v⌉, a = max(1, ⌈log2 n⌉):
        key bits, key bits copied, value bits, number of the pair, and a mark on values

    Proof: codes are ±1 over the root of their length, so that two of length a have an inner product of at most 1 − 2/a.
    Layer 1: a value attends to the key with its pair's number, and not to itself for its mark; a ReLU layer rounds what
    it copies. Layer 2: a query attends to the marked token whose copied key is its own, where each bit of the value is
    read off at 1/2. Logits grow as the code's length times the logarithm of the tokens.

    size    n, at least 1 and at most K (UsageError otherwise)
    keys    K, at least 1 (UsageError otherwise)
    values  v, at least 2 (UsageError otherwise)

    A construction, no less is excluded: whether one narrow layer is enough is open.

    Source: the two layers above; Bhattamishra, Hahn, Blunsom, Kanade 2024, arXiv 2406.09347, Theorem 7, with binary
    codes, and matching on values alone.

    >>> attention_width(size=64, keys=64, values=16).value
    23.0
    """
    size, keys, values = _sizes_of("attention_width", size, keys, values)
    key, pair = (max(1, (count - 1).bit_length()) for count in (keys, size))
    return Bound(
        value=float(2 * key + (values - 1).bit_length() + pair + 1),
        unit="channels",
        direction="construction",
        error="zero",
        holds_for="two causal attention layers of one head, pairs numbered by ±1 binary codes",
        assumes="numbers of O(log n) bits, constant hidden; no normalisation; a ReLU layer rounds after each",
        source=f"two layers written down; {SEPARATIONS}, Theorem 7 (O(log n), two heads), with binary codes",
    )


def best_accuracy(size: int, values: int, state_bits: int, *, replace_values: bool = True) -> Bound:
    """The accuracy that no reader with S bits after the pairs exceeds, over uniform values and keys asked alike.

        accuracy ≤ 1 − (1/n) Σ_{d=0}^{n−1} max(0, 1 − M·V(d)/L),   V(d) = Σ_{j≤d} C(n,j)·(v−1)^j

    L = v^n lists of values, or v!/(v − n)! where they do not repeat.

    Proof: fix the keys and all that is read after the pairs; neither tells anything of the values. A state then
    fixes n answers, a list within distance d of at most V(d) others, so at most M·V(d) of the L equally likely
    lists are answered with d mistakes or fewer; E[mistakes] = Σ_d P(mistakes > d).

    size            n, at least 1 (UsageError otherwise)
    values          v, at least 2, and at least n where values do not repeat (UsageError otherwise)
    state_bits      S, at least 0 (UsageError otherwise)
    replace_values  whether values repeat: always in single-query associative recall, as set in MQAR

    Source: sphere covering, as `index_lookup.best_accuracy`, keys being addresses.

    >>> round(best_accuracy(size=16, values=16, state_bits=18).value, 3)
    0.471
    """
    size, values = _sizes("best_accuracy", size, values, repeat=replace_values)
    state_bits = whole("recall.best_accuracy", "state_bits", state_bits, least=0)
    lists = values**size if replace_values else math.perm(values, size)
    shell = ball = 1
    missed = 0
    for distance in range(size):
        # M ≥ L / V(d) is decided without building 2^S, which may be as large as a model.
        if (-(-lists // ball) - 1).bit_length() <= state_bits:
            break
        missed += lists - (ball << state_bits)
        shell = shell * (size - distance) * (values - 1) // (distance + 1)
        ball += shell
    exact = 1 - Fraction(missed, size * lists)
    nearest = float(exact)
    return Bound(
        value=nearest if nearest >= exact else math.nextafter(nearest, math.inf),
        unit="accuracy",
        direction="requirement",
        error="average under the task's sampler",
        holds_for=f"any recurrent reader with at most {state_bits:,} state bits after the pairs",
        assumes=f"uniform values that {'may repeat' if replace_values else 'do not repeat'}, keys asked alike",
        source="sphere covering of all lists of values by the answers of the states",
    )


def fixed_values_required_bits(size: int, keys: int, values: int) -> Bound:
    """Bits of state that recall with keys that return, each with its first value, needs: min(n, K) · log2 v.

    Proof: show min(n, K) of the keys, always the same ones in the same order; two lists of their values differ
    at a key, which may be asked last.

    size    n, pairs or slots for noise before the last query, at least 1 (UsageError otherwise)
    keys    K, at least 1 (UsageError otherwise)
    values  v, at least 2 (UsageError otherwise)

    After a whole pair, and exact there from n = K on: a table of all keys is enough (`fixed_values_enough_bits`).

    Source: counting, on the layout of Poli et al. 2024, arXiv 2403.17844 (MAD).

    >>> fixed_values_required_bits(size=63, keys=8, values=8).value
    24.0
    """
    size, values = _sizes("fixed_values_required_bits", size, values)
    keys = whole("recall.fixed_values_required_bits", "keys", keys, least=1)
    return _requirement(
        min(size, keys) * math.log2(values),
        "each key keeps its first value; after a whole pair",
        "counting the tables of values of the keys that were shown",
    )


def fixed_values_enough_bits(keys: int, values: int) -> Bound:
    """Bits with which recall with returning keys is right: K · log2 v for a table, log2 (K + 1) for the key just read.

    keys    K, at least 1 (UsageError otherwise)
    values  v, at least 2 (UsageError otherwise)

    Proof: a key that was not seen has value 0 in the table until it is; nobody asks for it before.

    Source: a reader written down.

    >>> fixed_values_enough_bits(keys=7, values=8).value
    24.0
    """
    _, values = _sizes("fixed_values_enough_bits", 1, values)
    keys = whole("recall.fixed_values_enough_bits", "keys", keys, least=1)
    return Bound(
        value=keys * math.log2(values) + math.log2(keys + 1),
        unit="bits",
        direction="construction",
        error="zero",
        holds_for="a table of all keys' values and the key just read",
        assumes="each key keeps its first value; position is known to the reader",
        source="a reader written down",
    )


def fuzzy_required_bits(size: int, keys: int, values: int, key_tokens: int, value_tokens: int) -> Bound:
    """Bits of state that fuzzy recall needs: for each key that can be shown, a value of full length.

        max(min(n, k^a), min(n − 1, Σ_{s≤a} k^s) if n > a) · b · log2 v

    k and v the tokens of keys and of values, a and b the most tokens that one of them has.

    Proof: show the keys in one order, with values of b tokens; two lists of them differ, and the key where they
    do may be asked with the same number of tokens left to read, whatever its length: as the last query if all
    keys have a tokens, else in the pair before, where a key of s tokens precedes a query of a + 1 − s.

    size          n, pairs before the last query, at least 1 (UsageError otherwise)
    keys          k, at least 1 (UsageError otherwise)
    values        v, at least 2 (UsageError otherwise)
    key_tokens    a, at least 1 (UsageError otherwise)
    value_tokens  b, at least 1 (UsageError otherwise)

    Shorter values add nothing at such a cut: what ends is not asked, so one table entry of b tokens serves a
    value and all its beginnings.

    Source: counting, on values of variable length as in Poli et al. 2024, arXiv 2403.17844 (MAD).

    >>> fuzzy_required_bits(size=20, keys=2, values=4, key_tokens=2, value_tokens=3).value
    36.0
    """
    where = "recall.fuzzy_required_bits"
    size, values = _sizes("fuzzy_required_bits", size, values)
    keys, key_tokens, value_tokens = (
        whole(where, name, value, least=1)
        for name, value in (("keys", keys), ("key_tokens", key_tokens), ("value_tokens", value_tokens))
    )
    motifs = sum(keys**length for length in range(1, key_tokens + 1))
    shown = max(min(size, keys**key_tokens), min(size - 1, motifs) if size > key_tokens else 0)
    return _requirement(
        shown * value_tokens * math.log2(values),
        "each key keeps its first value, all of which is asked when it returns; padding in front",
        "counting the tables of values of full length",
    )


def _requirement(bits: float, assumes: str, source: str) -> Bound:
    return Bound(
        value=bits,
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for=ANY_READER,
        assumes=assumes,
        source=source,
    )


def _table_or_list(table: int, pairs: int, assumes: str) -> Bound:
    return Bound(
        value=math.log2(min(table, pairs)),
        unit="bits",
        direction="construction",
        error="zero",
        holds_for="a table of all keys' values" if table <= pairs else "a list of the pairs so far, without order",
        assumes=f"{assumes}; position is known to the reader",
        source="a reader written down",
    )


def _product_floor(count: int, factor: float) -> int:
    """⌊count · factor⌋ where count may be beyond the range of a float, rounded up by less than the factor's error."""
    return math.floor(count * Fraction(math.nextafter(factor, math.inf)))


def _sizes(function: str, size: int, values: int, *, repeat: bool = True) -> tuple[int, int]:
    where = f"recall.{function}"
    size, values = whole(where, "size", size, least=1), whole(where, "values", values, least=2)
    if not repeat and size > values:
        raise UsageError(f"{where}: size is {size}; it must be at most values, {values}, where they do not repeat")
    return size, values


def _sizes_of(function: str, size: int, keys: int, values: int, *, repeat: bool = True) -> tuple[int, int, int]:
    size, values = _sizes(function, size, values, repeat=repeat)
    keys = whole(f"recall.{function}", "keys", keys, least=1)
    if size > keys:
        raise UsageError(f"recall.{function}: size is {size}; it must be at most keys, {keys}")
    return size, keys, values
