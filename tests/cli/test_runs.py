"""statewise runs: what people and machines get to see, and what is asked before anything is removed."""

import ast
import csv
import dataclasses
import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from runs.kept import begin, config_of, keep
from statewise.cli import main, runs_ls
from statewise.cli.runs import Runs
from statewise.cli.runs_export import Export
from statewise.cli.runs_ls import Ls
from statewise.cli.runs_rm import Rm
from statewise.cli.runs_show import Show
from statewise.runs.query import COLUMNS


@pytest.fixture
def root(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def ask(root, capsys):
    """Run a command of the group on the folder; its status and what it said."""

    def run(*arguments):
        status = main(["runs", *arguments, "--folder", str(root)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


class Terminal(io.StringIO):
    """Standard input or output that says it is a terminal."""

    def isatty(self):
        return True


# ls


def test_the_table_says_what_was_asked_and_how_it_ended(root, ask):
    name = keep(root, config_of(3, "dyck", "gru*2", 0.02), losses=(0.123456,), seconds=61.0)
    keep(root, config_of(4), "diverged")
    begin(root, config_of(5))
    (root / "notes").mkdir()
    status, out, err = ask("ls", "--sort", "seed")
    assert status == 0
    heading, first, second, third, count = out.splitlines()
    assert heading.split()[:6] == ["name", "status", "task", "model", "seed", "rate"]
    assert first.split()[:13] == f"{name} finished dyck gru*2 3 0.02 3 1 min 1 s 8 50.0%".split()
    assert [line.split()[1] for line in (second, third)] == ["diverged", "interrupted"]
    assert count == "3 runs"
    assert err == "1 folder is passed over: 1 foreign\n"
    assert "\x1b" not in out


def test_a_long_table_is_cut_and_says_so(root, ask, monkeypatch):
    monkeypatch.setattr(runs_ls, "SHOWN_IN_A_TABLE", 2)
    for seed in range(3):
        keep(root, config_of(seed))
    assert ask("ls")[1].splitlines()[3:] == ["3 runs; 1 of them are not shown: --limit 0 shows all"]
    assert len(ask("ls", "--limit", "0")[1].splitlines()) == 5
    assert len(json.loads(ask("ls", "--json")[1])) == 3
    assert len(json.loads(ask("ls", "--json", "--limit", "1")[1])) == 1


def test_machines_get_every_column_and_nothing_else(root, ask):
    names = sorted([keep(root, config_of(1), losses=(float("nan"),)), keep(root, config_of(2))])
    (root / "notes").mkdir()
    _, out, err = ask("ls", "--json")
    rows = json.loads(out, parse_constant=pytest.fail)
    assert [row["name"] for row in rows] == names
    assert all(tuple(row) == COLUMNS for row in rows)
    assert {row["seed"]: row["loss"] for row in rows} == {1: None, 2: 0.25}
    assert err == "1 folder is passed over: 1 foreign\n"
    _, out, _ = ask("ls", "--csv", "--sort", "seed", "--reverse")
    read = list(csv.DictReader(io.StringIO(out)))
    assert [row["seed"] for row in read] == ["2", "1"]
    assert [row["written"] for row in read] == [row["written"] for row in sorted(rows, key=lambda row: -row["seed"])]


def test_conditions_are_options(root, ask):
    for seed, task in enumerate(("parity", "dyck", "parity")):
        keep(root, config_of(seed, task))
    keep(root, config_of(9), "crashed")

    def seeds(*options):
        return [row["seed"] for row in json.loads(ask("ls", "--json", "--sort", "seed", *options)[1])]

    assert seeds("--tasks", "parity", "--statuses", "finished") == [0, 2]
    assert seeds("--task", "parity", "--status", "crashed") == [9]
    assert seeds("--model", "gru", "--seed", "0", "1", "--where", "task = 'dyck'") == [1]


def test_no_runs_are_no_table(root, ask):
    root.mkdir()
    assert ask("ls") == (0, "0 runs\n", "")
    assert ask("ls", "--json")[1] == "[]\n"


def test_the_status_has_its_colour_on_a_terminal_alone(root, monkeypatch):
    keep(root)
    for kind, coloured in ((Terminal, True), (io.StringIO, False)):
        out = Console(file=kind(), width=200, _environ={"TERM": "xterm"})
        monkeypatch.setattr(runs_ls, "console", lambda out=out: out)
        assert main(["runs", "ls", "--folder", str(root)]) == 0
        assert ("\x1b[32mfinished\x1b[0m" in out.file.getvalue()) is coloured
        assert "finished" in out.file.getvalue()


def test_what_stands_in_a_record_cannot_steer_the_terminal(root, ask):
    name = keep(root, config_of(1, "par[red]\x1b[2J\nity :smile:"))
    for command in (("ls",), ("show", name)):
        _, out, _ = ask(*command)
        assert "\x1b" not in out
        assert "par[red]�[2J" in out
        assert ":smile:" in out


# show


def test_show_says_everything_that_the_record_says(root, ask):
    name = keep(root, config_of(3, rate=0.02), losses=(0.125, 0.5))
    status, out, _ = ask("show", name[:6])
    assert status == 0
    for part in (
        f"{name} · parity · gru · rate 0.02 · seed 3\n",
        "finished: all steps\n",
        "config.model.norm ",
        "facts.parameters",
        "environment.torch ",
        f"kept in {root / name}\n",
    ):
        assert part in out
    assert [line.split()[:3] for line in out.splitlines() if line.lstrip()[:2] in ("8 ", "4 ")] == [
        ["8", "0.125", "50.0%"], ["4", "0.5", "50.0%"],
    ]  # fmt: skip
    _, out, _ = ask("show", name, "--json")
    assert json.loads(out) == json.loads((root / name / "record.json").read_text())


def test_show_of_a_damaged_run_says_what_is_wrong(root, ask):
    name = keep(root)
    (root / name / "model.safetensors").unlink()
    assert ask("show", name) == (1, "", f"statewise: {root / name} is damaged: it holds no model.safetensors\n")


# rm


def test_rm_asks_and_takes_nothing_but_yes(root, ask, monkeypatch):
    name = keep(root)
    for answer in ("", "\n", "n\n", "yeah\n"):
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        assert ask("rm", name) == (1, "", f"Remove 1 run from {root}? [y/N] nothing is removed\n")
        assert (root / name).exists()
    monkeypatch.setattr(sys, "stdin", Terminal("Y\n"))
    assert ask("rm", name)[:2] == (0, f"1 run removed from {root}\n")
    assert not (root / name).exists()


def test_rm_without_a_terminal_needs_yes(root, ask, monkeypatch):
    names = [keep(root, config_of(seed)) for seed in range(2)]
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    status, _, err = ask("rm", *names)
    assert (status, "so that nobody can be asked; --yes removes unasked" in err) == (2, True)
    assert all((root / name).exists() for name in names)
    assert ask("rm", *names, "--yes") == (0, f"2 runs removed from {root}\n", "")
    assert list(root.iterdir()) == []


# export


def test_export_says_what_it_wrote(root, ask, tmp_path):
    keep(root, config_of(1))
    keep(root, config_of(2), "diverged")
    target = tmp_path / "all.csv"
    assert ask("export", str(target)) == (0, f"3 rows of 2 runs written to {target}\n", "")
    assert len(list(csv.DictReader(io.StringIO(target.read_text())))) == 3
    assert ask("export", str(target))[0] == 2
    assert ask("export", str(target), "--force", "--status", "finished")[1] == f"2 rows of 1 run written to {target}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ls", "--sort", "los"], "unknown column 'los': did you mean loss"),
        (["ls", "--status", "done"], "unknown status 'done'"),
        (["ls", "--where", "los > 1"], "where is 'los > 1'"),
        (["ls", "--limit", "-1"], "runs ls: limit is -1; it must be at least 0"),
        (["ls", "--json", "--csv"], "json and csv are two ways to print the same; choose one"),
        (["show", "ffff"], "no run is named 'ffff'"),
        (["rm", "--yes", "../x"], "'../x' is not the name of a run"),
        (["export", "all.xls"], "must end in .csv, .json, .parquet"),
    ],
)
def test_what_cannot_be_is_one_line_with_status_2(root, ask, arguments, message):
    keep(root)
    status, out, err = ask(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.startswith("statewise: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", [Ls, Show, Rm, Export])
def test_every_option_of_the_group_is_documented(command, capsys):
    sources = [sys.modules[cls.__module__].__file__ for cls in command.__mro__ if cls is not object]
    documented = {
        field.target.id
        for source in sources
        for holder in ast.walk(ast.parse(Path(source).read_text()))
        if isinstance(holder, ast.ClassDef)
        for field, after in zip(holder.body, holder.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr)
    }
    assert {field.name for field in dataclasses.fields(command)} <= documented
    assert [field.name for field in dataclasses.fields(Runs)] == ["command"]
    with pytest.raises(SystemExit) as ended:
        main(["runs", command.__name__.lower(), "--help"])
    assert ended.value.code == 0
    assert "usage: statewise runs" in capsys.readouterr().out
