"""c-gram retrieval, first match: between a map of free symbols under fixed addresses and a map of all grams.

n the size (symbols in the string), k the alphabet, c the gram: c − 1 symbols are given, and one is asked for.
"""

import math

from statewise.bounds.bound import Bound, whole


def required_bits(size: int, alphabet: int, gram: int = 2) -> Bound:
    """Bits of state that any reader needs after the string: at least max_q min(⌊n/c⌋, q^(c−1)) · log2(k − q).

    Proof: set q symbols aside for addresses and fix m = min(⌊n/c⌋, q^(c−1)) different grams of c − 1 of them. Write
    each gram followed by one free symbol out of the other k − q, one after another, and more free symbols at the end.
    A window without a free symbol is one of the grams at its own place, so what first follows a gram is its free
    symbol; strings that differ in one want different answers, and (k − q)^m strings need as many states.

    size      n, at least c (UsageError otherwise)
    alphabet  k, at least 2 (UsageError otherwise)
    gram      c, at least 2 (UsageError otherwise)

    For c = 2 this is max_m m·log2(k − m) over m ≤ ⌊n/2⌋. A lower bound that is not attained: for (n, k) = (4, 4) it
    gives 2 bits, where at least 31 states are needed; for k = 2 it gives nothing. `reader_bits` bounds it from above.

    Source: INDEX with grams as addresses; Wen, Dang, Lyu 2024, arXiv 2402.18510, Theorem 4.6 (Ω(n), with an alphabet
    that grows), made explicit here.

    >>> required_bits(size=8, alphabet=8).value
    8.0
    """
    size, alphabet, gram = _checked("required_bits", size, alphabet, gram)
    splits = ((min(size // gram, q ** (gram - 1)), alphabet - q) for q in range(1, alphabet))
    return Bound(
        value=max(pairs * math.log2(free) for pairs, free in splits),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for="any deterministic recurrent reader, however it computes",
        assumes="the gram comes after the string and occurs in it; not attained",
        source="INDEX with grams as addresses; Wen et al. 2024, arXiv 2402.18510, Theorem 4.6, made explicit",
    )


def reader_bits(size: int, alphabet: int, gram: int = 2) -> Bound:
    """Bits of state with which a reader gets by: the string, or the map of first successors and the last symbols.

        min((n + c − 2)·log2 k,  k^(c−1)·log2(k + 1) + (c − 1)·log2 k)

    Proof: one reader keeps all tokens but the last; another keeps, for each of the k^(c−1) grams, the symbol that first
    followed it or that none has, and the last c − 1 symbols, whose successor comes next or which are what is asked for.

    size      n, at least c (UsageError otherwise)
    alphabet  k, at least 2 (UsageError otherwise)
    gram      c, at least 2 (UsageError otherwise)

    Does not grow with n where k and c are fixed. At the one cut right after the string the last symbols need not be
    kept, and min(n·log2 k, k^(c−1)·log2(k + 1)) is enough.

    Source: two readers written down here.

    >>> round(reader_bits(size=1000, alphabet=16).value, 1)
    69.4
    """
    size, alphabet, gram = _checked("reader_bits", size, alphabet, gram)
    string = (size + gram - 2) * math.log2(alphabet)
    grams = alphabet ** (gram - 1)
    # A map takes more than a bit for each gram, and a number of grams beyond that need not fit into a float.
    both = grams * math.log2(alphabet + 1) + (gram - 1) * math.log2(alphabet) if grams <= string else math.inf
    return Bound(
        value=min(string, both),
        unit="bits",
        direction="construction",
        error="zero",
        holds_for="the reader that keeps the string, or the first successor of each gram and the last symbols",
        assumes="size and position are known to the reader",
        source="two readers written down",
    )


def _checked(function: str, size: int, alphabet: int, gram: int) -> tuple[int, int, int]:
    where = f"c_gram.{function}"
    gram = whole(where, "gram", gram, least=2)
    return whole(where, "size", size, least=gram), whole(where, "alphabet", alphabet, least=2), gram
