"""Questions about many runs: what is whole is found with every number, and nothing else is, or can be reached."""

import csv
import json
import math
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from runs.kept import at, begin, config_of, keep
from statewise.core.errors import MissingExtraError, RunError, UsageError
from statewise.runs import RunStore
from statewise.runs import query as query_module
from statewise.runs.query import COLUMNS, Selection, export_runs, list_runs


@pytest.fixture
def root(tmp_path):
    return tmp_path / "runs"


def names(listing):
    return [row[listing.columns.index("name")] for row in listing.rows]


def where(root, condition):
    return list_runs(root, Selection(where=condition), ["seed"], sort="seed").rows


# What is found


def test_a_run_is_a_row_with_what_was_measured_at_its_largest_size(root):
    name = keep(root, config_of(seed=3, task="parity", stack="gru*2", rate=0.02), losses=(0.75, 0.5))
    listing = list_runs(root)
    assert listing.columns == COLUMNS
    (row,) = (dict(zip(COLUMNS, row, strict=True)) for row in listing.rows)
    assert abs(datetime.now(UTC).replace(tzinfo=None) - row.pop("written")) < timedelta(minutes=5)
    assert row == {
        "name": name, "status": "finished", "because": "all steps", "task": "parity", "model": "gru*2", "seed": 3,
        "learning_rate": 0.02, "width": 4, "parameters": 12, "steps": 3, "tokens": 96, "seconds": 2.0,
        "tokens_per_second": 48.0, "budget": "steps", "device": "cpu", "threads": 1, "torch": "2", "size": 8,
        "loss": 0.75, "token_accuracy": 0.5, "sequence_accuracy": 0.125, "sequences": 64, "state_bits": 1024,
        "counter_bits": 64, "recovered_bits": None, "recovered_at_least": None, "validation_loss": 0.5,
        "validation_token_accuracy": 0.25, "validation_sequence_accuracy": 0.0, "free_accuracy": None,
        "free_unanswered": None,
    }  # fmt: skip
    assert listing.passed_over == Counter()


def test_runs_without_measurements_are_rows_with_their_reason(root):
    keep(root, config_of(1), "diverged", because="the loss was nan")
    keep(root, config_of(2), "crashed", because="out of memory")
    listing = list_runs(root, columns=["status", "because", "size"], sort="status")
    assert listing.rows == [("crashed", "out of memory", None), ("diverged", "the loss was nan", None)]


def test_unfinished_runs_are_listed_as_running_or_interrupted(root):
    running, interrupted = begin(root, config_of(1)), begin(root, config_of(2))
    with at(root, running):
        listing = list_runs(root, columns=["name", "status", "task", "seed", "size"], sort="seed")
    assert listing.rows == [(running, "running", "parity", 1, None), (interrupted, "interrupted", "parity", 2, None)]
    assert listing.passed_over == Counter()


def test_models_and_tasks_are_called_what_the_tables_of_a_comparison_call_them(root):
    initial = {"construction": "parity/gru", "arguments": {"size": 8}, "rounding": None, "noise": 0.0}
    keep(root, config_of() | {"initial": initial, "task": {"name": "retrieval", "task": {"name": "is-tree"}}})
    assert list_runs(root, columns=["task", "model"]).rows == [
        ("is-tree-by-retrieval", "parity/gru for 8, trained 3 steps")
    ]


def test_two_bridges_are_two_models(root):
    for bridge in ("state", "attention"):
        keep(root, config_of() | {"model": {"stack": "gru", "width": 4, "bridge": bridge}})
    assert sorted(list_runs(root, columns=["model"]).rows) == [("gru, bridge attention",), ("gru, bridge state",)]


def test_the_same_runs_are_found_as_the_store_finds(root):
    for seed in range(5):
        keep(root, config_of(seed), "finished" if seed else "crashed")
    assert names(list_runs(root)) == [record.name for record in RunStore(root).records()]


DAMAGES = {
    "missing": lambda folder: (folder / "record.json").unlink(),
    "without weights": lambda folder: (folder / "model.safetensors").unlink(),
    "empty": lambda folder: (folder / "record.json").write_bytes(b""),
    "torn": lambda folder: (folder / "record.json").write_bytes((folder / "record.json").read_bytes()[:-9]),
    "zeros": lambda folder: (folder / "record.json").write_bytes(b"\0" * 512),
    "no text": lambda folder: (folder / "record.json").write_bytes(b"\xff\xfe{}"),
    "a list": lambda folder: (folder / "record.json").write_text("[]"),
    "null": lambda folder: (folder / "record.json").write_text("null"),
    "two values": lambda folder: (folder / "record.json").write_text("{}{}"),
    "another format": lambda folder: change(folder, format=99),
    "another status": lambda folder: change(folder, status="done"),
    "no configuration": lambda folder: change(folder, config=3),
    "a configuration of something else": lambda folder: change(folder, config={"epochs": 3}),
}


def change(folder, **fields):
    path = folder / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_passed_over_and_counted(root, damage):
    good, bad = keep(root, config_of(1)), keep(root, config_of(2))
    DAMAGES[damage](root / bad)
    listing = list_runs(root)
    assert names(listing) == [good]
    assert listing.passed_over == Counter(damaged=1)


def test_what_is_no_run_is_passed_over_and_counted_by_what_it_is(root):
    whole = keep(root)
    for foreign in ("notes", "0123", f"{whole}-copy", whole.upper()[:-1] + "G"):
        (root / foreign).mkdir()
        (root / foreign / "record.json").write_bytes((root / whole / "record.json").read_bytes())
    (root / f"{whole}.damaged-2").mkdir()
    for half in (f".partial-{whole}", f".partial-{whole}-12", ".partial-trial-3", f".removed-{whole}-4"):
        (root / half).mkdir()
    (root / f".partial-{whole}" / "config.json").write_text('{"seed": ')
    for hers in (".git", "tensorboard"):
        (root / hers).mkdir()
    (root / "report.html").touch()
    listing = list_runs(root)
    assert names(listing) == [whole]
    assert listing.passed_over == Counter({"foreign": 4, "damaged": 1, "half-written": 4})


@pytest.mark.parametrize("odd", ["a[b]c", "a*b?", 'it\'s "quoted"', "-x {y}", "http:", "s3:", "ü:smile:"])
def test_the_folder_may_have_any_name(tmp_path, odd):
    name = keep(tmp_path / odd)
    assert names(list_runs(tmp_path / odd)) == [name]
    assert len(export_runs(tmp_path / odd, tmp_path / odd / "it's [1]*.csv").rows) == 2


def test_a_folder_without_runs_is_an_empty_table_and_no_folder_is_an_error(root):
    with pytest.raises(UsageError, match=f"^there are no runs in {root}: No such file or directory; name their folder"):
        list_runs(root)
    root.mkdir()
    assert list_runs(root).rows == []


class Failing:
    """A connection whose first few reads fail, as where a folder is renamed between being found and being read."""

    def __init__(self, failures):
        self.failures, self.done = failures, 0

    def execute(self, *_):
        self.failures -= 1
        if self.failures >= 0:
            raise duckdb.IOException("Cannot open file: No such file or directory\nmore")
        self.done += 1


def test_what_is_renamed_while_it_is_read_is_read_again(root):
    connection = Failing(2)
    query_module.read_files(connection, duckdb.Error, root)
    assert connection.done == 1


def test_what_cannot_be_read_time_after_time_is_one_line(root):
    with pytest.raises(RunError, match=f"^runs in {root} cannot be read: Cannot open file: No such file or directory$"):
        query_module.read_files(Failing(3), duckdb.Error, root)


def test_without_duckdb_the_extra_is_named(root, monkeypatch):
    keep(root)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(
        MissingExtraError, match=r"needs duckdb, which is not installed: pip install 'statewise\[report\]'"
    ):
        list_runs(root)


# What is asked for


def test_conditions_must_all_hold(root):
    for seed, (task, stack) in enumerate([("parity", "gru"), ("parity", "lstm"), ("dyck", "gru"), ("it's", "gru")]):
        keep(root, config_of(seed, task, stack))
    keep(root, config_of(9), "diverged")

    def seeds(**selection):
        return [seed for (seed,) in list_runs(root, Selection(**selection), ["seed"], sort="seed").rows]

    assert seeds() == [0, 1, 2, 3, 9]
    assert seeds(tasks=("parity", "dyck")) == [0, 1, 2, 9]
    assert seeds(tasks=("it's",)) == [3]
    assert seeds(models=("gru",), statuses=("finished",)) == [0, 2, 3]
    assert seeds(models=("gru",), seeds=(1, 2), tasks=("dyck",)) == [2]
    assert seeds(models=("gru",), where="seed > 0 OR task = 'parity'", statuses=("finished",)) == [0, 2, 3]
    assert seeds(seeds=(7,)) == []


def test_rows_come_sorted_with_what_is_not_known_last(root):
    for seed, seconds in enumerate((3.0, 1.0, 2.0)):
        keep(root, config_of(seed), seconds=seconds, losses=(seconds,))
    keep(root, config_of(3), "diverged", seconds=9.0)
    for reverse, expected in ((False, [1, 2, 0, 3]), (True, [0, 2, 1, 3])):
        assert [seed for (seed,) in list_runs(root, columns=["seed"], sort="loss", reverse=reverse).rows] == expected


def test_a_condition_sees_columns_and_the_whole_configuration(root):
    for seed in range(3):
        keep(root, config_of(seed), losses=(seed / 2,))
    assert where(root, "loss >= 0.5 AND task LIKE 'par%'") == [(1,), (2,)]
    assert where(root, "(config->>'$.model.norm') = 'rms' AND seed <> 1 -- a remark") == [(0,), (2,)]
    assert where(root, "loss = (SELECT max(loss) FROM runs)") == [(2,)]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (
            "los > 1",
            "where is 'los > 1': Binder Error: Referenced column \"los\" not found .*; columns are name, status",
        ),
        ("loss >", "syntax error at or near"),
        ("", "where is ''"),
        ("task", "Could not convert string 'parity' to BOOL"),
        ("seed = 1; DROP TABLE runs", "where is 'seed = 1; DROP TABLE runs'"),
        ("true) UNION SELECT 1 --", "syntax error"),
        ("error('boom')", "boom"),
    ],
)
def test_a_condition_that_is_none_is_one_line_that_names_the_columns(root, condition, message):
    keep(root)
    with pytest.raises(UsageError, match=message) as raised:
        list_runs(root, Selection(where=condition))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "table",
    ["read_text('{}')", "'{}'", "read_csv('{}')", "glob('{}')", "read_text('http://127.0.0.1:9/')", "secret"],
)
def test_a_condition_reaches_no_file_no_network_and_no_variable(root, tmp_path, table):
    keep(root)
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    assert duckdb.sql(f"SELECT * FROM '{secret}'").fetchall() == [(1,)]
    with pytest.raises(UsageError, match=r"Permission Error|disabled by configuration|does not exist"):
        list_runs(root, Selection(where=f"EXISTS (SELECT * FROM {table.format(secret)})"))


def test_an_unknown_column_or_status_offers_the_nearest(root):
    keep(root)
    with pytest.raises(UsageError, match="unknown column 'los': did you mean loss"):
        list_runs(root, sort="los")
    with pytest.raises(UsageError, match="unknown column 'name; DROP TABLE runs'"):
        list_runs(root, columns=["name; DROP TABLE runs"])
    with pytest.raises(UsageError, match="unknown status 'finish': did you mean finished"):
        Selection(statuses=("finish",))


# Export


def read_back(path):
    """Rows of a file as dicts, by a reader that is not ours where there is one."""
    if path.suffix == ".json":
        return json.loads(path.read_text())
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    found = duckdb.sql(f"SELECT * FROM read_parquet('{path}')")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_an_export_has_a_row_for_each_run_and_size(root, tmp_path, ending):
    config = config_of(1, task='a "quoted", one')
    name, lost = keep(root, config, losses=(0.75, 1 / 3)), keep(root, config_of(2), "diverged", because="a\nb")
    path = tmp_path / f"all.{ending}"
    assert sorted(export_runs(root, path).rows, key=str) == sorted([(name, 4), (name, 8), (lost, None)], key=str)
    rows = {(row["name"], str(row["size"] or "")): row for row in read_back(path)}
    assert set(rows) == {(name, "4"), (name, "8"), (lost, "")}
    assert set(rows[name, "4"]) == {*COLUMNS, "config"}
    assert float(rows[name, "4"]["loss"]) == 1 / 3
    assert rows[name, "8"]["task"] == 'a "quoted", one'
    assert rows[lost, ""]["because"] == "a\nb"
    kept = rows[name, "8"]["config"]
    assert (kept if ending == "json" else json.loads(kept)) == config
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([path.name, "runs"])


def test_an_export_takes_what_is_asked_for_at_each_size(root, tmp_path):
    for seed in range(2):
        keep(root, config_of(seed), losses=(0.75, 0.25))
    export_runs(root, tmp_path / "some.json", Selection(where="size < 8", seeds=(1,)))
    assert [(row["seed"], row["size"], row["loss"]) for row in read_back(tmp_path / "some.json")] == [(1, 4, 0.25)]


def test_what_is_not_finite_is_null_in_json_and_stays_elsewhere(root, tmp_path):
    keep(root, losses=(math.inf, math.nan))
    for ending in ("json", "parquet"):
        export_runs(root, tmp_path / f"all.{ending}")
    assert [row["loss"] for row in read_back(tmp_path / "all.json")] == [None, None]
    assert {str(row["loss"]) for row in read_back(tmp_path / "all.parquet")} == {"inf", "nan"}


def test_an_export_replaces_nothing_unless_told_to(root, tmp_path):
    keep(root)
    path = tmp_path / "all.csv"
    path.write_text("mine")
    with pytest.raises(UsageError, match=f"^{path} is there already: name another file, or replace it with --force$"):
        export_runs(root, path)
    assert path.read_text() == "mine"
    export_runs(root, path, force=True)
    assert len(read_back(path)) == 2


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("all.txt", r"the file's name must end in \.csv, \.json, \.parquet"),
        ("all", r"must end in \.csv"),
        ("absent/all.csv", "absent is no folder"),
        ("folder.csv", "folder.csv is a folder"),
    ],
)
def test_an_export_that_cannot_be_is_refused(root, tmp_path, target, message):
    keep(root)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=message):
        export_runs(root, tmp_path / target, force=True)


def test_an_export_that_fails_half_way_leaves_what_was_there(root, tmp_path, monkeypatch):
    keep(root)
    path = tmp_path / "all.csv"
    path.write_text("mine")

    def fail(laid, table, partial, how):
        partial.write_text("half of")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(query_module.Tables, "copy", fail)
    with pytest.raises(UsageError, match=f"^runs cannot be exported to {path}: No space left on device$"):
        export_runs(root, path, force=True)
    assert path.read_text() == "mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["all.csv", "runs"]
