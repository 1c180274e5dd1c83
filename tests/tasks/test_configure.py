"""Tasks from texts on a command line and from the identities in records."""

import json
from pathlib import Path

import pytest

from statewise.core.errors import UsageError
from statewise.tasks import TASKS, Dyck, IndexLookup, Parity, Text, configure, from_identity


def test_settings_are_set_and_the_others_kept():
    assert configure(IndexLookup(alphabet=4, queries=3), ["alphabet=8"]) == IndexLookup(alphabet=8, queries=3)
    assert configure(Dyck(), ["types=3", "depth=5"]) == Dyck(types=3, depth=5)
    assert configure(Parity(), ["every_prefix=False"]) == Parity(every_prefix=False)
    assert configure(Dyck(), []) == Dyck()


def test_the_file_of_text_is_a_text():
    assert configure(Text(), ["file=corpus.txt"]) == Text(file="corpus.txt")
    assert configure(Text(), ["file=a=b"]) == Text(file="a=b")
    assert configure(Text(file="x"), ["file=None"]) == Text()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("alphabet=many", "alphabet is 'many'; it must be of type int"),
        ("alphabet=2.5", "alphabet is 2.5; it must be of type int"),
        ("alphabet=True", "alphabet is True; it must be of type int"),
        ("alphabet=", "alphabet is ''; it must be of type int"),
        ("alphabet={[]: 1}", r"alphabet is '\{\[\]: 1\}'; it must be of type int"),
        ("alphabet=1", "alphabet is 1 and queries is 1; they must be at least 2"),
        ("alphabet", "setting 'alphabet' is not of the form name=value"),
        ("alphabett=4", "no setting 'alphabett': did you mean alphabet?"),
        ("depth=4", "no setting 'depth': there are alphabet, queries"),
        ("=4", "no setting ''"),
    ],
)
def test_a_bad_setting_is_refused_with_its_value(setting, message):
    with pytest.raises(UsageError, match=f"^index-lookup.*{message}"):
        configure(IndexLookup(), [setting])


def test_a_bool_is_neither_a_number_nor_a_word():
    for text in ("1", "yes", "false"):
        with pytest.raises(UsageError, match=f"every_prefix is '?{text}'?; it must be of type bool"):
            configure(Parity(), [f"every_prefix={text}"])


@pytest.mark.parametrize(
    "task", [IndexLookup(alphabet=4, queries=9), Dyck(types=5), Parity(every_prefix=False), Text()], ids=str
)
def test_a_task_comes_back_from_its_identity_through_json(task):
    back = from_identity(json.loads(json.dumps(task.identity())))
    assert back.identity() == task.identity()
    assert type(back) is type(task)


@pytest.mark.parametrize("name", TASKS)
def test_a_name_alone_gives_the_defaults(name):
    assert from_identity({"name": name}) == TASKS[name]()


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ({"name": "party"}, "unknown task 'party': did you mean parity or majority?"),
        ({"every_prefix": True}, "unknown task 'None'"),
        ({"name": "parity", "prefix": True}, "no setting 'prefix': did you mean every_prefix?"),
        ({"name": "parity", "every_prefix": 1}, "task.every_prefix is 1; it must be of type bool"),
        ({"name": "dyck", "types": "2"}, "task.types is '2'; it must be of type int"),
        ({"name": "dyck", "types": True}, "task.types is True; it must be of type int"),
        ({"name": "dyck", "types": None}, "task.types is None; it must be of type int"),
        ({"name": "text", "file": 3}, "task.file is 3; it must be of type str"),
        ({"name": "dyck", "types": 0}, "types is 0"),
    ],
)
def test_what_describes_no_task_is_refused(identity, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        from_identity(identity)


def test_the_digest_in_an_identity_is_that_of_the_task(tmp_path):
    path = Path(tmp_path / "corpus")
    path.write_bytes(bytes(500))
    identity = Text(file=str(path)).identity()
    assert from_identity(identity) == Text(file=str(path), sha256=identity["sha256"])
