"""Bits read back out of a state by the queries of multi-query associative recall, from a test score.

Fix the keys and all that is read after the pairs. The n lists of values V stay equally likely, since neither keys, nor
queries, nor blanks tell anything of them. Each answer is a function of the state S after the pairs and of what follows,
so that with the model's own predictions Q

    log2 L − Σ_p E[−log2 Q_p(v_p | S)]  ≤  H(V) − H(V | S)  =  I(V; S)  ≤  H(S)  ≤  bits of S

L = v!/(v − n)! lists, or v^n where values repeat: a predictor's cross-entropy is at least the conditional entropy, and
the entropies of the parts add up to no less than that of the whole. It is the argument of `statewise.capacity`, without
its mixing: one confident mistake costs without limit, and the mean over test sequences is an estimate of E.
"""

import math

from statewise.bounds import best_accuracy, required_bits
from statewise.tasks import MQAR


def recovered_bits(task: MQAR, size: int, loss: float) -> float:
    """The left-hand side, from a loss in nats for each query; negative for a bad predictor.

    >>> recovered_bits(MQAR(keys=64, values=64), 4, 0.0) == required_bits(MQAR(keys=64, values=64), 4).value
    True
    """
    return required_bits(task, size).value - size * loss / math.log(2)


def bits_of_accuracy(task: MQAR, size: int, accuracy: float) -> int:
    """The least bits of state with which a recurrent reader can be this accurate on average: sphere covering, inverted.

    accuracy  of the queries, in [0, 1]

    >>> bits_of_accuracy(MQAR(keys=64, values=64), 4, 1.0), bits_of_accuracy(MQAR(keys=64, values=64), 4, 1 / 64)
    (24, 0)
    """
    low, high = 0, math.ceil(required_bits(task, size).value)
    while low < high:
        middle = (low + high) // 2
        limit = best_accuracy(task, size, middle)
        assert limit is not None
        low, high = (low, middle) if limit.value >= accuracy else (middle + 1, high)
    return low
