"""Classes named from outside."""

import pytest

from statewise.core.dotted import import_dotted, is_dotted
from statewise.core.errors import UsageError


@pytest.fixture(autouse=True)
def _a_users_module(tmp_path, monkeypatch):
    (tmp_path / "dotted_by_a_user.py").write_text("class Mine(dict): pass\nclass Other: pass\n")
    (tmp_path / "dotted_and_broken.py").write_text("raise RuntimeError('two\\nlines')")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("path", ["dotted_by_a_user.Mine", "dotted_by_a_user:Mine"])
def test_a_dot_and_a_colon_lead_to_the_same_class(path):
    assert is_dotted(path)
    assert import_dotted(path, kind="thing", base=dict).__name__ == "Mine"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_module:Mine", "thing 'no_such_module:Mine': importing no_such_module failed: ModuleNotFoundError"),
        ("dotted_and_broken:Mine", "importing dotted_and_broken failed: RuntimeError: two lines$"),
        ("dotted_by_a_user:Nine", r"has no 'Nine': did you mean Mine\?"),
        ("string:Nine", "has no 'Nine'; no dict is in it"),
        (":Mine", "thing ':Mine': importing  failed: ValueError"),
    ],
)
def test_whatever_fails_is_one_line(path, message):
    with pytest.raises(UsageError, match=message) as caught:
        import_dotted(path, kind="thing", base=dict)
    assert "\n" not in str(caught.value)
