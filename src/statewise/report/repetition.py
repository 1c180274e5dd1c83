"""How much a text repeats itself: distinct words and word sequences, and the share that was there before."""

from collections.abc import Sequence
from dataclasses import dataclass

NGRAM = 4
"""Words in the sequences whose repetition is counted: four rarely come again by chance."""


@dataclass(frozen=True)
class Repetition:
    """Measures of one text, by its words; NaN is never among them: a text without words has nothing distinct.

    distinct_1, distinct_2  different words, and different pairs, as shares of all
    repeated                share of sequences of four words that stood before in the text

    They depend on how long a text is: compare texts of one length.

    Source: distinct-n of Li et al. 2016, arXiv 1510.03055; repetition as 1 − distinct-4, as rep-4 of Welleck et al.
    2020, arXiv 1908.04319.
    """

    distinct_1: float
    distinct_2: float
    repeated: float


def repetition_of(text: str) -> Repetition:
    """The measures of a text.

    >>> repetition_of("to be or not to be or not to be")
    Repetition(distinct_1=0.4, distinct_2=0.4444444444444444, repeated=0.4285714285714286)
    """
    words = text.split()
    return Repetition(distinct(words, 1), distinct(words, 2), 1 - distinct(words, NGRAM, of_none=1.0))


def distinct(words: Sequence[str], n: int, *, of_none: float = 0.0) -> float:
    """Different sequences of n words as a share of all.

    >>> distinct("a b a b".split(), 2)
    0.6666666666666666
    """
    sequences = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return len(set(sequences)) / len(sequences) if sequences else of_none
