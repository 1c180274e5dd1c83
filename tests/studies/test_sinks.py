"""Sinks that are asked for by name: found, told of every run wherever it goes on, and no part of what a run is."""

import json
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from statewise.cli import main
from statewise.core.errors import MissingExtraError, UsageError
from statewise.core.events import Evaluated, Finished, Noted
from statewise.core.listeners import RunInfo
from statewise.runs import RunStore
from statewise.runs.query import list_runs
from statewise.studies import execute, run_all
from statewise.studies.sinks import chosen_sinks, import_sink
from statewise.studies.tensorboard import TensorBoard, folder_of
from studies.ears import Deaf, ToFile

PAGE = Path(__file__).parents[2] / "docs" / "sinks.md"


def heard(tmp_path, name):
    """What a sink was made for, and the events that it heard but for Progress, which comes by the clock."""
    first, *events = map(json.loads, (tmp_path / f"{name}.heard").read_text().splitlines())
    return first, [event for event in events if event["event"] != "Progress"]


# By a dotted path


@pytest.mark.parametrize("path", ["studies.ears:ToFile", "studies.ears.ToFile", "studies.ears:from_function"])
def test_a_class_or_a_function_is_found_at_its_path(path):
    assert import_sink(path).__module__ == "studies.ears"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("tensorboard", "^sink 'tensorboard' is not the path to one: write my_module:MySink$"),
        ("studies.ears:ToFiles", r"ears.py has no 'ToFiles': did you mean ToFile\?$"),
        ("studies.eras:ToFile", "importing studies.eras failed: ModuleNotFoundError"),
        ("studies.ears:NOT_CALLABLE", "an object of type int makes no sinks; name a class, or a function of a run"),
        ("studies.ears:WithoutWrite", r"WithoutWrite has no method write\(event\), which is all that a sink needs"),
    ],
)
def test_a_path_that_leads_to_no_sink_is_refused_before_anything_is_trained(path, message, tmp_path, capsys):
    with pytest.raises(UsageError, match=message):
        import_sink(path)
    assert main(["train", "parity", "--sink", path, "--output", str(tmp_path / "runs")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


# In a run


def test_sinks_hear_a_run_and_leave_it_as_it_is_without_them(tmp_path, watcher, make_run):
    run = make_run(evaluate_every=1)
    (with_sinks,) = run_all([run], RunStore(tmp_path / "a" / "runs", sinks=[Deaf, ToFile]), watcher, workers=1)
    (without,) = run_all([run], RunStore(tmp_path / "b" / "runs"), watcher, workers=1)
    assert (with_sinks.name, with_sinks.config, with_sinks.results) == (without.name, without.config, without.results)
    assert [sorted(path.name for path in (tmp_path / each / "runs" / run.name).iterdir()) for each in "ab"] == 2 * [
        ["config.json", "events.jsonl", "model.safetensors", "record.json"]
    ]
    first, events = heard(tmp_path / "a", run.name)
    assert first == {"title": run.title, "config": with_sinks.config}
    assert [event["event"] for event in events] == ["Evaluated"] * 3 + ["Finished"]
    notes = [event for _, event in watcher.events if isinstance(event, Noted)]
    assert notes == [Noted(text="sink Deaf is dropped: ConnectionError: no server")]


def test_sinks_are_made_in_worker_processes_and_their_notes_reach_the_parent(tmp_path, watcher, make_run):
    runs = [make_run(seed) for seed in range(2)]
    records = run_all(runs, RunStore(tmp_path / "runs", sinks=[ToFile, Deaf]), watcher, workers=2)
    assert [record.status for record in records] == ["finished", "finished"]
    for run in runs:
        assert [event["event"] for event in heard(tmp_path, run.name)[1]] == ["Finished"]
        assert (run.name, Noted(text="sink Deaf is dropped: ConnectionError: no server")) in watcher.events


def test_a_run_that_crashes_is_told(tmp_path, watcher, make_run, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(sys.modules[execute.__module__], "train", fail)
    (record,) = run_all([make_run()], RunStore(tmp_path / "runs", sinks=[ToFile]), watcher, workers=1)
    assert record.status == "crashed"
    assert heard(tmp_path, record.name)[1] == [
        {
            "event": "Finished",
            "step": 0,
            "status": "crashed",
            "because": "ZeroDivisionError: on purpose",
            "seconds": 0.0,
        }
    ]


def test_a_run_that_is_kept_is_not_told_again(tmp_path, watcher, make_run):
    run = make_run()
    run_all([run], RunStore(tmp_path / "runs"), watcher, workers=1)
    run_all([run], RunStore(tmp_path / "runs", sinks=[ToFile]), watcher, workers=1)
    assert watcher.skipped == [run.name]
    assert not list(tmp_path.glob("*.heard"))


@pytest.mark.parametrize("command", ["train", "compare"])
def test_a_command_takes_sinks_from_the_working_directory(command, tmp_path, monkeypatch, capsys):
    (tmp_path / "my_sinks.py").write_text(
        "class Loud:\n    def __init__(self, run):\n        self.title = run.title\n"
        "    def write(self, event):\n        print('heard', self.title, event.step)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_sinks", raising=False)
    asked = [
        "parity",
        "--models",
        "gru",
        "--seeds",
        "0",
        "--sizes",
        "4",
        "--steps",
        "2",
        "--width",
        "4",
        "--batch-size",
        "4",
    ]
    page = ["--no-page"] if command == "compare" else []
    assert main([command, *asked, *page, "--sinks", "my_sinks:Loud"]) == 0
    assert "heard parity · gru · rate 0.005 · seed 0 2\n" in capsys.readouterr().out


# TensorBoard


def scalars_in(folder):
    """What TensorBoard's own reader finds: the values of each tag by step, and the texts."""
    accumulator = EventAccumulator(str(folder)).Reload()
    tags = accumulator.Tags()
    scalars = {tag: [(each.step, each.value) for each in accumulator.Scalars(tag)] for tag in tags["scalars"]}
    texts = {tag: accumulator.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in tags["tensors"]}
    return scalars, texts


def test_tensorboard_reads_back_what_a_run_said(tmp_path, watcher, make_run):
    run = make_run(evaluate_every=1)
    (record,) = run_all([run], RunStore(tmp_path / "runs", sinks=[TensorBoard]), watcher, workers=1)
    (folder,) = (tmp_path / "runs" / "tensorboard").iterdir()
    assert folder.name == f"parity-mingru-rate-0.003-seed-0-{run.name[:8]}"
    scalars, texts = scalars_in(folder)
    evaluated = [event for _, event in watcher.events if isinstance(event, Evaluated)]
    assert [event.step for event in evaluated] == [1, 2, 3]
    for quantity in ("loss", "token accuracy", "sequence accuracy"):
        expected = {event.step: getattr(event, quantity.replace(" ", "_")) for event in evaluated}
        assert dict(scalars[f"{quantity}/validation, size 4"]) == pytest.approx(expected, rel=1e-6)
    assert [step for step, _ in scalars["seconds/training"]] == [3]
    assert texts["end/text_summary"] == "finished: the budget is used up"
    lines = texts["configuration/text_summary"].splitlines()
    assert json.loads("".join(line.removeprefix("    ") for line in lines)) == record.config
    listing = list_runs(tmp_path / "runs", columns=["name"])
    assert listing.rows == [(run.name,)]
    assert not listing.passed_over


def test_a_run_that_goes_on_takes_the_place_of_what_it_had_written(tmp_path):
    run = RunInfo(name="0c02252c6f8b5f6d", title="parity", config={}, root=tmp_path)

    def losses(sink, steps, loss):
        for step in steps:
            sink.write(
                Evaluated(
                    step=step,
                    split="validation",
                    size=4,
                    loss=loss,
                    token_accuracy=None,
                    sequence_accuracy=None,
                    seconds=1,
                )
            )

    first = TensorBoard(run)
    losses(first, (1, 2, 3), 2.0)
    second = TensorBoard(run)
    second.write(Noted(text="it goes on at step 1"))
    losses(second, (2, 3, 4), 1.0)
    second.write(Finished(step=4, status="finished", because="", seconds=1.0))
    first.writer.close()
    scalars, _ = scalars_in(tmp_path / "tensorboard" / folder_of(run))
    assert scalars["loss/validation, size 4"] == [(1, 2.0), (2, 1.0), (3, 1.0), (4, 1.0)]


@pytest.mark.parametrize("title", ["../../x", "/etc/passwd", "a/../b", "ü" * 500, "", "..", "x\n\x1b[2J"])
def test_a_title_of_any_characters_is_one_folder(tmp_path, title):
    name = folder_of(RunInfo(name="0c02252c6f8b5f6d", title=title, config={}, root=tmp_path))
    assert re.fullmatch(r"[A-Za-z0-9_.+=-]{9,109}", name)
    assert (tmp_path / name).resolve().parent == tmp_path.resolve()


def test_without_the_extra_it_is_named_before_anything_is_trained(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'statewise\[tensorboard\]'"):
        chosen_sinks((), tensorboard=True)
    assert main(["train", "parity", "--tensorboard", "--output", str(tmp_path / "runs")]) == 2
    assert "writing for TensorBoard (leave it out with --no-tensorboard) needs tensorboard" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_it_is_off_unless_asked_for():
    program = "import sys, statewise.cli; print('tensorboard' in sys.modules, 'duckdb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
    assert chosen_sinks((), tensorboard=False) == ()


# Weights & Biases, as the page shows it


class FakeRun:
    """What `wandb.init` returns, as far as the page uses it."""

    def __init__(self, **settings):
        self.settings, self.logged, self.ended = settings, [], None

    def log(self, numbers, *, step):
        assert self.ended is None, "a run that is finished takes no more numbers"
        self.logged.append((step, numbers))

    def finish(self, *, exit_code):
        self.ended = exit_code


def test_the_sink_of_the_page_logs_a_run_to_weights_and_biases(tmp_path, watcher, make_run, monkeypatch):
    made = []
    fake = types.ModuleType("wandb")
    fake.init = lambda **settings: made.append(FakeRun(**settings)) or made[-1]
    monkeypatch.setitem(sys.modules, "wandb", fake)
    (block,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S) if "wandb" in block)
    names = {}
    exec(compile(block, PAGE.name, "exec"), names)

    runs = [make_run(0, evaluate_every=1), make_run(1, learning_rate=1e30, steps=200, warmup=0)]
    records = run_all(runs, RunStore(tmp_path / "runs", sinks=[names["Wandb"]]), watcher, workers=1)
    assert [record.status for record in records] == ["finished", "diverged"]
    assert [(each.settings["id"], each.settings["name"], each.settings["config"]) for each in made] == [
        (run.name, run.title, record.config) for run, record in zip(runs, records, strict=True)
    ]
    assert [each.ended for each in made] == [0, 1]
    evaluated = [event for name, event in watcher.events if isinstance(event, Evaluated) and name == runs[0].name]
    losses = [
        (step, numbers["validation 4/loss"]) for step, numbers in made[0].logged if "validation 4/loss" in numbers
    ]
    assert losses == [(event.step, event.loss) for event in evaluated]
    assert not [event for _, event in watcher.events if isinstance(event, Noted)]
