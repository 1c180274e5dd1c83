"""Run folders: what is whole is found, and nothing that goes wrong is taken for a run or lost."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from statewise.core.config import digest
from statewise.core.errors import RunError, UsageError
from statewise.core.events import Evaluated, Finished
from statewise.runs import Record, Result, RunStore, read_record
from statewise.runs import folder as folder_module
from statewise.runs.on_disk import CONFIG, EVENTS, MODEL, RECORD
from statewise.runs.record import Validation

RESULT = Result(
    size=8, loss=0.25, token_accuracy=0.5, sequence_accuracy=0.125, sequences=64, state_bits=1024, counter_bits=64,
    validation=Validation(loss=0.5, token_accuracy=0.25, sequence_accuracy=0.0),
)  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def record_of(config, status="finished", because="all steps"):
    results = (RESULT,) if status == "finished" else ()
    return Record(config=config, status=status, because=because, results=results, training={"steps": 3})


def keep(store, config, status="finished", because="all steps"):
    """A whole run on disk; its folder."""
    with store.begin(config) as folder:
        if status == "finished":
            folder.model.write_bytes(b"weights")
        return folder.finish(record_of(config, status, because))


def visible(store):
    return sorted(path.name for path in store.root.glob("[!.]*"))


def hidden(store):
    return sorted(path.name for path in store.root.glob(".*"))


def edit(folder, change):
    plain = json.loads((folder / RECORD).read_text())
    change(plain)
    (folder / RECORD).write_text(json.dumps(plain))


# What is whole


def test_a_run_is_found_under_the_digest_of_its_configuration(store):
    config = {"seed": 1, "sizes": [1, 2], "rate": 0.1}
    folder = keep(store, config)
    assert folder == store.root / digest(config)
    assert store.find(digest(config)) == read_record(folder) == record_of(config)
    assert json.loads((folder / CONFIG).read_text()) == config
    assert (folder / MODEL).read_bytes() == b"weights"
    assert hidden(store) == []


def test_a_record_survives_with_every_number(store):
    result = Result(
        size=2**40,
        loss=1e-300,
        token_accuracy=1 / 3,
        sequence_accuracy=0.0,
        sequences=1,
        state_bits=0,
        counter_bits=0,
        validation=Validation(loss=1e300, token_accuracy=2 / 3, sequence_accuracy=1.0),
        recovered_bits=-0.1,
        recovered_at_least=None,
    )
    record = Record(config={"a": None}, status="finished", because="x", results=(result, RESULT), facts={"n": [1]})
    with store.begin(record.config) as folder:
        folder.model.touch()
        folder.finish(record)
    assert store.find(record.name) == record


def test_records_come_in_the_order_of_names(store):
    for seed in range(5):
        keep(store, {"seed": seed}, "diverged" if seed == 2 else "finished")
    names = [record.name for record in store.records()]
    assert names == sorted(digest({"seed": seed}) for seed in range(5))


@pytest.mark.parametrize("copy", ["0-copy", "my best run"])
def test_a_copy_of_a_run_is_not_a_second_run(store, copy):
    folder = keep(store, {"seed": 1})
    shutil.copytree(folder, store.root / copy)
    edit(store.root / copy, lambda plain: plain.update(because="a copy"))
    assert list(store.records()) == [record_of({"seed": 1})]


def test_a_run_whose_folder_was_renamed_is_still_reported_in_its_place(store):
    for seed in range(3):
        folder = keep(store, {"seed": seed})
        folder.rename(store.root / f"seed {seed}")
    names = [record.name for record in store.records()]
    assert names == sorted(digest({"seed": seed}) for seed in range(3))


def test_what_was_never_run_is_not_found(store):
    assert store.find("0" * 16) is None
    assert list(store.records()) == []


def test_events_are_one_line_each_and_on_disk_at_once(store):
    evaluated = Evaluated(
        step=3, split="validation", size=4, loss=0.5, token_accuracy=1.0, sequence_accuracy=1.0, seconds=0.1
    )
    finished = Finished(step=3, status="finished", because="all\nsteps", seconds=0.2)
    with store.begin({"seed": 1}) as folder:
        folder.write(evaluated)
        assert len((folder.partial / EVENTS).read_text().splitlines()) == 1
        folder.write(finished)
        final = folder.finish(record_of({"seed": 1}, "crashed"))
    lines = [json.loads(line) for line in (final / EVENTS).read_text().splitlines()]
    assert [line["event"] for line in lines] == ["evaluated", "finished"]
    assert lines[0]["size"] == 4
    assert lines[1]["because"] == "all\nsteps"


# What is damaged


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_torn_record_is_damaged_and_passed_over(store, share):
    keep(store, {"seed": 0})
    folder = keep(store, {"seed": 1})
    content = (folder / RECORD).read_bytes().rstrip()
    (folder / RECORD).write_bytes(content[: int(share * len(content))])
    with pytest.raises(RunError, match=f"{folder / RECORD} is damaged"):
        store.find(folder.name)
    assert [record.config for record in store.records()] == [{"seed": 0}]


def overwrite(content):
    return lambda folder: (folder / RECORD).write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / RECORD).unlink(), "holds no record.json: it is not a run"),
        (lambda folder: (folder / MODEL).unlink(), "is damaged: it holds no model.safetensors"),
        (lambda folder: edit(folder, lambda plain: plain.update(stauts=1)), "no setting 'stauts': did you mean status"),
        (lambda folder: edit(folder, lambda plain: plain["results"][0].update(bits=1)), "no setting 'bits'"),
        (lambda folder: edit(folder, lambda plain: plain["results"][0].pop("loss")), "needs the setting 'loss'"),
        (lambda folder: edit(folder, lambda plain: plain.pop("status")), "needs the setting 'status'"),
        (lambda folder: edit(folder, lambda plain: plain.update(status="done")), "format 2, status 'done'"),
        (lambda folder: edit(folder, lambda plain: plain.update(format=3)), "format 3, status 'finished'"),
        (lambda folder: edit(folder, lambda plain: plain.update(config=[1])), "config is .1.; it must be of type dict"),
        (lambda folder: edit(folder, lambda plain: plain.update(config={"seed": float("nan")})), "is damaged"),
        (overwrite(b"[]"), "is of type list; it must hold"),
        (overwrite(b'""'), "is of type str; it must hold"),
        (overwrite(b"null"), "is of type NoneType; it must hold"),
        (overwrite(b"\xff\xfe{}"), "is damaged"),
        (overwrite(b"\0" * 512), "is damaged"),
    ],
)
def test_a_damaged_run_says_what_is_wrong_and_is_passed_over(store, damage, message):
    folder = keep(store, {"seed": 1})
    damage(folder)
    with pytest.raises(RunError, match=message):
        store.find(folder.name)
    assert list(store.records()) == []


def test_a_record_of_another_configuration_is_damaged(store):
    folder = keep(store, {"seed": 1})
    edit(folder, lambda plain: plain["config"].update(seed=2))
    with pytest.raises(RunError, match=f"its configuration belongs to run {digest({'seed': 2})}"):
        store.find(folder.name)


def test_a_run_without_a_model_is_whole_unless_it_finished(store):
    for status in ("diverged", "crashed", "failed"):
        assert store.find(keep(store, {"status": status}, status).name).status == status


def test_a_file_in_the_place_of_a_run_is_damaged(store):
    store.root.mkdir()
    (store.root / "0123").write_text("not a folder")
    with pytest.raises(RunError, match=r"0123/record\.json is damaged: .*Not a directory"):
        store.find("0123")
    assert list(store.records()) == []


def test_damaged_runs_are_set_aside_under_fresh_names_with_their_contents(store):
    config, name = {"seed": 1}, digest({"seed": 1})
    for attempt in range(3):
        folder = keep(store, config)
        (folder / RECORD).write_text(f"torn {attempt}")
        aside = store.set_aside(name)
        assert not folder.exists()
        assert (aside / RECORD).read_text() == f"torn {attempt}"
    assert visible(store) == [f"{name}.damaged", f"{name}.damaged-2", f"{name}.damaged-3"]
    assert [(store.root / each / RECORD).read_text() for each in visible(store)] == ["torn 0", "torn 1", "torn 2"]
    assert store.find(name) is None
    assert list(store.records()) == []


def test_a_whole_record_that_was_set_aside_is_no_longer_a_run(store):
    store.set_aside(keep(store, {"seed": 1}).name)
    assert list(store.records()) == []


# What is going on, and what was interrupted


def test_a_run_that_is_going_on_is_not_visible(store):
    with store.begin({"seed": 1}) as folder:
        folder.model.write_bytes(b"weights")
        assert visible(store) == []
        assert list(store.records()) == []
        assert store.find(folder.name) is None


def fail_in_the_middle(store, error):
    with store.begin({"seed": 1}) as folder:
        folder.write(Finished(step=1, status="finished", because="", seconds=0.0))
        folder.model.write_bytes(b"weights")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing(store, error):
    with pytest.raises(error):
        fail_in_the_middle(store, error)
    assert visible(store) == hidden(store) == []


def test_an_exception_leaves_what_was_there_before(store):
    before = keep(store, {"seed": 1})
    with pytest.raises(KeyError):
        fail_in_the_middle(store, KeyError)
    assert store.find(before.name) == record_of({"seed": 1})
    assert hidden(store) == []


def test_a_run_that_ends_without_a_record_leaves_nothing(store):
    with store.begin({"seed": 1}):
        pass
    assert visible(store) == hidden(store) == []


def test_a_record_that_cannot_be_written_leaves_nothing(store):
    """The disk is full half-way through, or a fact is nothing that JSON holds."""
    with pytest.raises(TypeError, match="not set"), store.begin({"seed": 1}) as folder:
        folder.finish(Record(config={"seed": 1}, status="crashed", because="", facts={"a": {1}}))
    assert visible(store) == hidden(store) == []


KILLED = """
import sys, time
from pathlib import Path
from statewise.core.events import Finished
from statewise.runs import RunStore
with RunStore(Path(sys.argv[1])).begin({"seed": 1}) as folder:
    folder.write(Finished(step=1, status="finished", because="", seconds=0.0))
    folder.model.write_bytes(b"half of the weights")
    print("ready", flush=True)
    time.sleep(600)
"""


def test_a_killed_process_leaves_no_run_and_its_remains_are_swept_but_not_while_it_lives(store):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(store.root)], stdout=subprocess.PIPE, text=True)
    name = digest({"seed": 1})
    try:
        assert process.stdout.readline() == "ready\n"
        store.sweep([name])
        assert hidden(store) == [f".partial-{name}"]
    finally:
        process.kill()
        process.communicate()
    assert list(store.records()) == []
    assert store.find(name) is None
    assert len(hidden(store)) == 1
    store.sweep(["another"])
    assert len(hidden(store)) == 1
    store.sweep([name])
    assert hidden(store) == []
    keep(store, {"seed": 1})
    assert visible(store) == [name]


def test_what_is_swept_is_what_nobody_can_take_up(store):
    for name, checkpoint in (("abc", None), ("def", "7.safetensors"), ("ghi", "7.safetensors.half-written")):
        (store.root / f".partial-{name}/checkpoint").mkdir(parents=True)
        if checkpoint:
            (store.root / f".partial-{name}/checkpoint/{checkpoint}").touch()
    store.sweep(["abc", "def", "ghi", "never run"])
    assert hidden(store) == [".partial-def"]


# Finishing


def test_no_reader_sees_a_folder_without_its_record(store, monkeypatch):
    seen = []

    def look():
        seen.extend(read_record(folder).because for folder in store.root.glob("[!.]*"))

    def watched(function):
        def call(*arguments, **options):
            look()
            outcome = function(*arguments, **options)
            look()
            return outcome

        return call

    monkeypatch.setattr(Path, "rename", watched(Path.rename))
    monkeypatch.setattr(folder_module, "write_json", watched(folder_module.write_json))
    monkeypatch.setattr(folder_module.shutil, "rmtree", watched(folder_module.shutil.rmtree))
    keep(store, {"seed": 1}, "crashed", because="first")
    keep(store, {"seed": 1}, because="second")
    assert set(seen) == {"first", "second"}
    assert seen == sorted(seen)


def test_a_record_half_written_is_never_visible(store, monkeypatch):
    def torn(path, plain):
        path.write_text(json.dumps(plain)[:20])
        raise OSError(28, "No space left on device")

    with store.begin({"seed": 1}) as folder:
        monkeypatch.setattr(folder_module, "write_json", torn)
        with pytest.raises(OSError, match="No space left"):
            folder.finish(record_of({"seed": 1}))
        assert visible(store) == []
    assert visible(store) == hidden(store) == []


@pytest.mark.parametrize("status", ["crashed", "failed"])
def test_a_crashed_or_failed_run_is_replaced(store, status):
    keep(store, {"seed": 1}, status, because="out of memory")
    folder = keep(store, {"seed": 1}, because="second time")
    assert store.find(folder.name).because == "second time"
    assert visible(store) == [folder.name]
    assert hidden(store) == []


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_run_that_ended_is_not_replaced(store, status):
    """Two comparisons at once: whoever comes second, crashed or not, leaves the first one's record."""
    folder = keep(store, {"seed": 1}, status, because="first")
    for later in ("crashed", "finished"):
        assert keep(store, {"seed": 1}, later, because="second") == folder
        assert store.find(folder.name).because == "first"
    assert hidden(store) == []


def test_a_damaged_run_is_set_aside_not_overwritten_when_another_finishes(store):
    folder = keep(store, {"seed": 1})
    (folder / RECORD).write_text("torn")
    keep(store, {"seed": 1}, because="second")
    assert store.find(folder.name).because == "second"
    assert visible(store) == [folder.name, f"{folder.name}.damaged"]
    assert (store.root / f"{folder.name}.damaged" / RECORD).read_text() == "torn"


# Where nothing can be written


def test_a_folder_that_can_be_made_is_made_and_left_empty(store):
    store.check_writable()
    assert list(store.root.iterdir()) == []
    store.check_writable()


@pytest.mark.parametrize(("below", "reason"), [("", "File exists"), ("/a/b", "Not a directory")])
def test_a_folder_that_cannot_be_made_is_refused_before_any_work(tmp_path, below, reason):
    (tmp_path / "file").touch()
    root = Path(f"{tmp_path}/file{below}")
    with pytest.raises(UsageError, match=f"^runs cannot be written to {root}: {reason}$"):
        RunStore(root).check_writable()


def test_a_folder_that_cannot_be_written_is_refused(store, monkeypatch):
    def refuse(path, *arguments, **options):
        if path.name.startswith("."):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UsageError, match=f"^runs cannot be written to {store.root}: Permission denied$"):
        store.check_writable()
