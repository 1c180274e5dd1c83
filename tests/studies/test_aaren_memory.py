"""What is counted and timed of one block, and what is read off such numbers."""

import itertools

import pytest

from statewise.report.study import verdict_of
from statewise.studies import aaren_memory
from statewise.studies.aaren_memory import Trace, block_of, findings_of, trace_of


def counting():
    """A clock that goes on by a second each time that it is asked."""
    return itertools.count().__next__


@pytest.mark.parametrize("label", aaren_memory.MIXERS)
def test_the_block_has_the_published_parameters(label):
    assert sum(each.numel() for each in block_of(label, 0).parameters()) == aaren_memory.PARAMETERS[label]


def test_bytes_are_those_of_the_tensors():
    """Aaren: a largest score and a denominator for each of 8 heads, and 512 sums. A cache: two of 512, and a place."""
    lengths = (2, 4)
    aaren = trace_of(block_of("Aaren", 0), lengths, seed=0, clock=counting())
    cache = trace_of(block_of("Transformer", 0), lengths, seed=0, clock=counting())
    assert aaren.state_bytes == (4 * (8 + 8 + 512),) * 2
    assert cache.state_bytes == (2 * 2 * 512 * 4 + 8, 4 * 2 * 512 * 4 + 8)
    assert aaren.seconds == (1, 2)


def test_what_is_measured_is_what_the_trace_is(monkeypatch):
    monkeypatch.setattr(aaren_memory.time, "process_time", counting())
    numbers = aaren_memory.decode("Aaren", [2, 4], 0)
    assert numbers == {"state_bytes": (2112, 2112), "seconds": (1, 2)}
    settings = [each.settings for each in aaren_memory.measurements("small")]
    assert [(each["block"], each["seed"]) for each in settings[:3]] == [("Aaren", 0), ("Transformer", 0), ("Aaren", 1)]


def made_up(*, cache_time):
    """Four lengths: linear time of Aaren, and so many times as much for twice the tokens of the other."""
    linear = Trace((2112,) * 4, (1.0, 2.0, 4.0, 8.0))
    cache = Trace(tuple(4096 * 256 * 2**i + 8 for i in range(4)), tuple(cache_time**i for i in range(4)))
    return {"Aaren": [linear] * 3, "Transformer": [cache] * 3}


def verdicts(findings):
    return {quantity.name: verdict_of(quantity) for quantity in findings.quantities}


def test_constant_memory_and_time_that_grows_faster_than_the_tokens_agree():
    findings = findings_of("small", made_up(cache_time=3.0))
    assert set(verdicts(findings).values()) == {"agrees"}
    exponent = {quantity.name: quantity.values for quantity in findings.quantities}
    assert exponent["exponent of all tokens' time, 1,024 to 2,048, Aaren"] == (1.0,) * 3
    assert exponent["exponent of all tokens' time, 1,024 to 2,048, Transformer"] == pytest.approx(
        (1.585,) * 3, abs=1e-3
    )


def test_a_transformer_that_reads_on_in_linear_time_differs():
    found = verdicts(findings_of("small", made_up(cache_time=2.0)))
    assert found["exponent of all tokens' time, 1,024 to 2,048, Transformer"] == "differs"


def test_both_charts_hold_every_repetition():
    memory, time = findings_of("small", made_up(cache_time=3.0)).charts
    assert memory.curves[0].points[0] == (256.0, (2112.0,) * 3)
    assert time.curves[1].points[-1] == (2048.0, (27.0,) * 3)
