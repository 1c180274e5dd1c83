"""Equality: bits that a recurrent reader needs in each form, and the accuracy that a hash reaches with few.

m the size (symbols in each string), k the alphabet, S bits of state after the first string, M = 2^S states.
"""

import math
from fractions import Fraction

from statewise.bounds.attention import SEPARATIONS, one_layer_size
from statewise.bounds.bound import Bound, whole
from statewise.core.errors import UsageError
from statewise.tasks.equality import FORMS


def required_bits(size: int, alphabet: int, form: str) -> Bound:
    """Bits of state that any recurrent reader needs to be right on every input: they belong to the form.

        random          m · log2 k
        one-difference  log2 k
        next-character  m · log2 k

    Proof: random: of two first strings in one state, either is taken for the other, and every second string is
    allowed. next-character: the string itself is to be written. one-difference: strings that share all but
    one place conflict, and there are k of them; the sum modulo k tells every string from all its neighbours.

    size      m, at least 1 (UsageError otherwise)
    alphabet  k, at least 2 (UsageError otherwise)
    form      random, one-difference or next-character (UsageError otherwise)

    All three are exact. Those for yes-or-no answers are about zero error alone: what a hash of a few bits
    does at random strings is `hash_accuracy`.

    Source: fooling set of EQ; Bhattamishra, Hahn, Blunsom, Kanade 2024, arXiv 2406.09347, Theorem 11 (random);
    counting (next-character); the checksum above (one-difference).

    >>> [required_bits(size=8, alphabet=4, form=form).value for form in FORMS]
    [16.0, 2.0, 16.0]
    """
    size, alphabet = _checked("required_bits", size, alphabet)
    if form not in FORMS:
        raise UsageError(f"equality.required_bits: form is {form!r}; it must be one of {', '.join(FORMS)}")
    reached, source = {
        "random": ("keeping the string", "fooling set of EQ; Bhattamishra et al. 2024, arXiv 2406.09347, Theorem 11"),
        "one-difference": ("the sum modulo the alphabet", "k strings in one line conflict; a checksum parts all"),
        "next-character": ("keeping the string", "counting: the string is written out after the separator"),
    }[form]
    return Bound(
        value=(1 if form == "one-difference" else size) * math.log2(alphabet),
        unit="bits",
        direction="requirement",
        error="zero",
        holds_for=f"any deterministic recurrent reader; {reached} reaches it",
        assumes=f"second strings of the form {form} and no others",
        source=source,
    )


def hash_accuracy(size: int, alphabet: int, state_bits: int) -> Bound:
    """The accuracy that a reader with S bits reaches on random strings, by comparing a hash of them.

        1 − (Σ p_i² − k^−m) / 2

    p_i the shares of the strings in each of min(2^S, k^m) classes, as equal as they can be.

    Proof: the reader keeps the class of the first string and says yes where the second is in it; it errs where
    the second is independent (probability 1/2), of the same class and not equal.

    size        m, at least 1 (UsageError otherwise)
    alphabet    k, at least 2 (UsageError otherwise)
    state_bits  S, at least 0 (UsageError otherwise)

    With S bits at most 2^(−S−1) is missing, whatever the length, so `required_bits` limits no accuracy.

    Source: a reader written down; the randomised protocol for EQ.

    >>> hash_accuracy(size=400, alphabet=2, state_bits=8).value
    0.998046875
    """
    size, alphabet = _checked("hash_accuracy", size, alphabet)
    state_bits = whole("equality.hash_accuracy", "state_bits", state_bits, least=0)
    strings = alphabet**size
    classes = strings if (strings - 1).bit_length() <= state_bits else 1 << state_bits
    small, larger = divmod(strings, classes)
    pairs = larger * (small + 1) ** 2 + (classes - larger) * small**2
    return Bound(
        value=float(1 - Fraction(pairs - strings, 2 * strings**2)),
        unit="accuracy",
        direction="construction",
        error="average under the task's sampler",
        holds_for=f"the reader that compares the strings by a hash with {classes:,} values"
        if classes < 2**64
        else f"the reader that compares the strings by a hash of {state_bits:,} bits",
        assumes="form random: the second string is the first, or uniform and independent, with equal chance",
        source="a reader written down",
    )


def attention_layer_size(size: int, alphabet: int, precision: int = 32) -> Bound:
    """Width times heads that a model of one attention layer needs, for random strings: m·log2 k / (3·(p + log2 T)).

    Proof: pairs of equal strings are a fooling set of k^m for two parties who hold a string each; T = 2m + 1 tokens.
    See `attention.one_layer_size`.

    size       m, at least 1 (UsageError otherwise)
    alphabet   k, at least 2 (UsageError otherwise)
    precision  p, bits of each number, at least 1 (UsageError otherwise)

    Where unequal strings differ in one place log2 k bits are enough for the parties, and little follows.

    Source: Bhattamishra, Hahn, Blunsom, Kanade 2024, arXiv 2406.09347, Theorem 12 (Ω up to logarithms) through
    Theorem 4.

    >>> round(attention_layer_size(size=400, alphabet=2).value, 1)
    3.2
    """
    size, alphabet = _checked("attention_layer_size", size, alphabet)
    return one_layer_size(
        size * math.log2(alphabet),
        2 * size + 1,
        precision,
        where="equality.attention_layer_size",
        source=f"{SEPARATIONS}, Theorem 12 through Theorem 4, for two symbols",
    )


def _checked(function: str, size: int, alphabet: int) -> tuple[int, int]:
    where = f"equality.{function}"
    return whole(where, "size", size, least=1), whole(where, "alphabet", alphabet, least=2)
