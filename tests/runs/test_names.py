"""Which run is meant by the beginning of a name."""

import pytest

from statewise.core.errors import UsageError
from statewise.runs.names import find_name

NAMES = ["0c02252c6f8b5f6d", "0c12252c6f8b5f6d", "f168b1785f930000"]


@pytest.fixture
def root(tmp_path):
    for name in (*NAMES, "f000.damaged", "f168b1785f930000.damaged", ".partial-f1aaaaaaaaaaaaaa-3", "tensorboard"):
        (tmp_path / name).mkdir()
    (tmp_path / "f1ffffffffffffff").touch()
    return tmp_path


def test_a_beginning_that_one_run_has_is_enough(root):
    for beginning, name in ((NAMES[0], NAMES[0]), ("0c0", NAMES[0]), ("0c1", NAMES[1]), ("f", NAMES[2])):
        assert find_name(root, beginning) == name


def test_several_are_listed(root):
    with pytest.raises(UsageError, match=f"^2 runs are named 0c…: {NAMES[0]}, {NAMES[1]}; write more digits$"):
        find_name(root, "0c")
    with pytest.raises(UsageError, match=r"^3 runs are named …"):
        find_name(root, "")


@pytest.mark.parametrize("name", ["0c2", "..", "../runs", "f1ffffffffffffff", "tensorboard", "F1"])
def test_none_offers_what_there_is(root, name):
    with pytest.raises(UsageError, match=f"^no run is named '{name}': (there are|did you mean) .*0c02252c6f8b5f6d"):
        find_name(root, name)


def test_many_are_not_all_listed(root):
    for number in range(10):
        (root / f"ab{number:014}").mkdir()
    with pytest.raises(UsageError, match=r"^10 runs are named ab…: (ab\d{14}, ){7}ab\d{14} and 2 more; write more"):
        find_name(root, "ab")
    with pytest.raises(UsageError, match=r"^no run is named 'x': there are 0c02252c6f8b5f6d, .* and 5 more$"):
        find_name(root, "x")


def test_no_runs_and_no_folder_are_told_apart(tmp_path):
    with pytest.raises(UsageError, match=f"^no run is named 'ab': {tmp_path} holds no runs$"):
        find_name(tmp_path, "ab")
    with pytest.raises(UsageError, match=f"^there are no runs in {tmp_path}/absent: No such file or directory"):
        find_name(tmp_path / "absent", "ab")
