"""Errors: the tree, and names that were meant."""

import pytest

from statewise.core.errors import MissingExtraError, RunError, StatewiseError, UsageError, pick, suggestion

NAMES = ["index-lookup", "dyck", "parity", "text"]


@pytest.mark.parametrize(
    ("name", "tail"),
    [
        ("party", ": did you mean parity?"),
        ("indexlookup", ": did you mean index-lookup?"),
        ("tex", ": did you mean text?"),
        ("xyzzy", ": there are dyck, index-lookup, parity, text"),
        ("", ": there are dyck, index-lookup, parity, text"),
    ],
)
def test_the_nearest_name_is_offered_or_else_all(name, tail):
    assert suggestion(name, NAMES) == tail


def test_several_near_names_are_offered_nearest_first():
    assert suggestion("mingru2", ["gru", "mingru", "minlstm", "lstm"]) == ": did you mean mingru or gru?"


def test_the_names_may_come_in_any_order_and_kind():
    assert suggestion("q", ("b", "a")) == suggestion("q", {"a": 1, "b": 2}) == ": there are a, b"


def test_pick_finds_or_says_what_was_looked_for():
    assert pick("task", "dyck", {"dyck": 2}) == 2
    with pytest.raises(UsageError, match=r"^unknown task 'dick': did you mean dyck\?$"):
        pick("task", "dick", {"dyck": 2})


def test_the_tree_says_who_catches_what():
    assert issubclass(MissingExtraError, UsageError)
    assert issubclass(UsageError, ValueError)
    assert not issubclass(RunError, ValueError)
    for kind in (UsageError, MissingExtraError, RunError):
        assert issubclass(kind, StatewiseError)
