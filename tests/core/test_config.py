"""Configurations: one text, one digest, nothing unknown, and back again."""

import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statewise.core.config import canonical, digest, from_plain, to_plain
from statewise.core.errors import UsageError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
PLAIN = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@dataclass(frozen=True, kw_only=True)
class Inner:
    sizes: tuple[int, ...]
    rate: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    inner: Inner
    more: tuple[Inner, ...] = ()
    other: Inner | None = None
    limit: int | None = None
    flag: bool = False
    free: dict[str, Any] = field(default_factory=dict)


OUTERS = st.builds(
    Outer,
    name=st.text(),
    inner=st.builds(Inner, sizes=st.lists(st.integers()).map(tuple), rate=st.floats(0, 1)),
    more=st.lists(st.builds(Inner, sizes=st.just((1, 2)))).map(tuple),
    other=st.none() | st.builds(Inner, sizes=st.just(())),
    limit=st.none() | st.integers(),
    flag=st.booleans(),
    free=st.dictionaries(st.text(), st.lists(SCALARS)),
)


def test_the_canonical_text_worked_by_hand():
    outer = Outer(name="ü", inner=Inner(sizes=(3, 1), rate=0.1), free={"b": [1.0, None], "a": True})
    assert canonical(outer) == (
        '{"flag":false,"free":{"a":true,"b":[1.0,null]},"inner":{"rate":0.1,"sizes":[3,1]},"limit":null,'
        '"more":[],"name":"\\u00fc","other":null}'
    )


@given(PLAIN)
@settings(deadline=None, derandomize=True, max_examples=50)
def test_the_canonical_text_is_json_of_the_same_value(plain):
    assert json.loads(canonical(plain)) == plain
    assert canonical(json.loads(canonical(plain))) == canonical(plain)


@given(st.dictionaries(st.text(), SCALARS, min_size=2))
@settings(deadline=None, derandomize=True, max_examples=50)
def test_the_digest_does_not_depend_on_the_order_of_keys(plain):
    backwards = dict(reversed(plain.items()))
    assert list(backwards) != list(plain)
    assert digest(backwards) == digest(plain)


def test_the_digest_depends_on_every_value_and_on_the_order_of_sequences():
    outer = {"sizes": (1, 2), "rate": 0.5, "flag": False}
    others = [{**outer, "sizes": (2, 1)}, {**outer, "rate": 0.25}, {**outer, "flag": 0}, {**outer, "flag": None}]
    assert len({digest(each) for each in (outer, *others)}) == 5


@dataclass(frozen=True, kw_only=True)
class Floats:
    rate: float = 0.5
    time: float | None = None
    count: int = 1
    free: Any = None


def test_a_whole_number_and_the_same_float_are_one_configuration_where_floats_are_asked_for():
    assert canonical(Floats(rate=1, time=2, free=3)) == '{"count":1,"free":3,"rate":1.0,"time":2.0}'
    assert digest(Floats(rate=1, time=2)) == digest(Floats(rate=1.0, time=2.0))
    assert digest(Floats(free=3)) != digest(Floats(free=3.0))
    assert digest(Floats(rate=True)) != digest(Floats(rate=1.0))


def test_the_digest_is_the_beginning_of_the_hash_of_the_text():
    expected = hashlib.sha256(b'{"a":[1,"x"],"b":0.1}').hexdigest()
    assert digest({"b": 0.1, "a": (1, "x")}) == expected[:16]
    assert digest({"b": 0.1, "a": (1, "x")}, length=64) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_json_lacks_have_no_canonical_text(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"rate": value})


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", Outer], ids=str)
def test_what_no_configuration_holds_is_refused_by_its_type(value):
    with pytest.raises(TypeError, match=f"not {type(value).__name__}$"):
        to_plain({"value": value})


@given(OUTERS)
@settings(deadline=None, derandomize=True, max_examples=50)
def test_a_configuration_comes_back_from_json(outer):
    back = from_plain(Outer, json.loads(canonical(outer)), where="config")
    assert back == outer
    assert canonical(back) == canonical(outer)


def test_defaults_may_be_left_out():
    assert from_plain(Outer, {"name": "x", "inner": {"sizes": []}}, where="c") == Outer(name="x", inner=Inner(sizes=()))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"nam": "x"}, "^file: Outer has no setting 'nam': did you mean name\\?"),
        ({"zzz": 1}, "^file: Outer has no setting 'zzz': there are flag, free, inner"),
        ({"inner": {"sizes": [1], "ratio": 1.0}}, "^file.inner: Inner has no setting 'ratio': did you mean rate"),
        ({"more": [{"sizes": [1], "x": 1}]}, "^file.more: Inner has no setting 'x'"),
        ({"inner": {}}, "^file.inner: Inner needs the setting 'sizes', which is missing"),
        ({"inner": 3}, "^file.inner is of type int; it must hold the settings of Inner"),
        ({"inner": None}, "^file.inner is of type NoneType; it must hold"),
        ({"name": 3}, "^file.name is 3; it must be of type str"),
        ({"name": None}, "^file.name is None; it must be of type str"),
        ({"limit": 1.5}, "^file.limit is 1.5; it must be of type int"),
        ({"limit": True}, "^file.limit is True; it must be of type int"),
        ({"flag": 0}, "^file.flag is 0; it must be of type bool"),
        ({"inner": {"sizes": [1, "2"]}}, "^file.inner.sizes is '2'; it must be of type int"),
        ({"inner": {"sizes": 1}}, "^file.inner.sizes is 1; it must be of type tuple"),
        ({"inner": {"sizes": [], "rate": True}}, "^file.inner.rate is True; it must be of type float"),
        ({"free": [1]}, r"^file.free is \[1\]; it must be of type dict"),
    ],
)
def test_what_is_unknown_missing_or_of_another_type_is_refused_where_it_stands(changed, message):
    plain = {"name": "x", "inner": {"sizes": [1]}, **changed}
    with pytest.raises(UsageError, match=message):
        from_plain(Outer, plain, where="file")


@pytest.mark.parametrize("plain", [[], "", 3, None, ["name"]])
def test_what_is_no_object_is_refused(plain):
    with pytest.raises(UsageError, match=f"file is of type {type(plain).__name__}; it must hold the settings of Outer"):
        from_plain(Outer, plain, where="file")


def test_a_missing_setting_is_named():
    with pytest.raises(UsageError, match="file: Outer needs the setting 'inner', which is missing"):
        from_plain(Outer, {"name": "x"}, where="file")


def test_a_whole_number_is_a_good_float():
    assert from_plain(Inner, {"sizes": [], "rate": 1}, where="x").rate == 1
