"""Removing runs: those that are named and nothing else, and whole or not at all."""

from pathlib import Path

import pytest

from runs.kept import at, begin, config_of, keep
from statewise.core.errors import RunError, UsageError
from statewise.runs import remove as remove_module
from statewise.runs.remove import removable, remove


@pytest.fixture
def root(tmp_path):
    return tmp_path / "runs"


def left(root):
    return sorted(path.name for path in root.iterdir())


def test_what_is_named_goes_and_everything_else_stays(root):
    one, two, three = (keep(root, config_of(seed)) for seed in range(3))
    (root / f"{one}.damaged").mkdir()
    (root / "notes").mkdir()
    remove(removable(root, [one, three, one]))
    assert left(root) == sorted([two, f"{one}.damaged", "notes"])


def test_a_damaged_run_can_be_removed(root):
    name = keep(root)
    (root / name / "record.json").write_text("{")
    remove(removable(root, [name]))
    assert left(root) == []


def test_what_interrupted_attempts_left_goes_too(root):
    name = keep(root, config_of(1))
    begin(root, config_of(1))
    other = begin(root, config_of(2))
    remove(removable(root, [name]))
    assert left(root) == [f".partial-{other}"]
    remove(removable(root, [other]))
    assert left(root) == []


def test_a_run_in_progress_is_refused_and_nothing_is_removed(root):
    done = keep(root, config_of(1))
    keep(root, config_of(2), "crashed")
    busy = begin(root, config_of(2))
    before = left(root)
    message = f"^run {busy} is in progress, in {root}/.partial-{busy}: stop it"
    with at(root, busy), pytest.raises(UsageError, match=message):
        removable(root, [done, busy])
    assert left(root) == before


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "/", "../outside", "notes", "0123", "*", "~", ".partial-x-1", "{name}/", "{name}/../x", "./{name}"],
)
def test_what_is_no_name_is_refused(root, tmp_path, name):
    kept = keep(root)
    for folder in (tmp_path / "outside", root / "notes"):
        folder.mkdir()
    with pytest.raises(UsageError, match="is not the name of a run, which has 16 digits of 0-9 and a-f"):
        removable(root, [kept, name.format(name=kept)])


def test_a_part_of_a_name_offers_the_whole(root):
    name = keep(root)
    with pytest.raises(UsageError, match=f"'{name[:5]}' is not the name of a run, .*: did you mean {name}\\?$"):
        removable(root, [name[:5]])


def test_a_run_that_is_not_there_offers_those_that_are(root):
    name = keep(root)
    with pytest.raises(UsageError, match=f"^no run is named '{'0' * 16}': there are {name}$"):
        removable(root, ["0" * 16])
    remove(removable(root, [name]))
    with pytest.raises(UsageError, match=f"^no run is named '{name}': {root} holds no runs$"):
        removable(root, [name])


def test_a_link_is_neither_followed_nor_removed(root, tmp_path):
    name = keep(root)
    elsewhere = (root / name).rename(tmp_path / "elsewhere")
    (root / name).symlink_to(elsewhere)
    with pytest.raises(UsageError, match=f"^{root / name} is a link to a folder that is elsewhere: remove it by hand$"):
        removable(root, [name])
    assert (elsewhere / "record.json").exists()


def test_a_link_inside_a_run_goes_and_what_it_leads_to_stays(root, tmp_path):
    name = keep(root)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "text").touch()
    (root / name / "corpus").symlink_to(tmp_path / "corpus")
    remove(removable(root, [name]))
    assert left(root) == []
    assert (tmp_path / "corpus" / "text").exists()


def test_no_reader_meets_half_of_a_run(root, monkeypatch):
    name, seen = keep(root), []
    whole = left(root / name)
    rmtree = remove_module.shutil.rmtree

    def watched(path, **options):
        seen.append((root / name).exists() and left(root / name))
        rmtree(path, **options)
        seen.append((root / name).exists() and left(root / name))

    monkeypatch.setattr(remove_module.shutil, "rmtree", watched)
    remove(removable(root, [name]))
    assert [each for each in seen if each not in (whole, False)] == []
    assert seen[-1] is False


def test_a_folder_that_cannot_be_renamed_stays_as_it_is(root, monkeypatch):
    name = keep(root)
    whole = left(root / name)

    def refuse(path, target):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(RunError, match=f"^{root / name} cannot be removed: Permission denied$"):
        remove(removable(root, [name]))
    assert left(root / name) == whole
    assert left(root) == [name]


def test_what_a_killed_removal_left_goes_with_the_next(root):
    name = keep(root)
    (root / ".removed-0123456789abcdef-3" / "checkpoint").mkdir(parents=True)
    remove(removable(root, [name]))
    assert left(root) == []
