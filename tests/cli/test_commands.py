"""Commands as a user types them: what they print, what they leave, and how they refuse."""

import io
import subprocess
import sys

import pytest
import torch

from statewise.cli import main, watched
from statewise.cli.console import printable
from statewise.cli.progress import Bars, Lines, watch
from statewise.core.events import Evaluated, Progress
from statewise.ops.memory import keep_freed_memory
from statewise.runs import Record, RunStore
from statewise.studies import Comparison, run_all


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("to be or not to be, that is the question. " * 200)
    return path


def quick(task, output, *more):
    return [task, "--models", "mingru", "--steps", "3", "--batch-size", "4", "--output", str(output), *more]


def test_compare_prints_a_table_and_a_verdict_and_writes_a_page(runs, capsys):
    arguments = ["compare", *quick("parity", runs, "--sizes", "4", "8", "--workers", "1")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    for part in ("sequence", "required", "No run is missing: 3 of 3 finished.", "Verdict", "parity: mingru"):
        assert part in said
    assert (runs / "report.html").exists()
    assert (runs / "parity-accuracy.png").exists()
    assert main(arguments) == 0
    assert "finished earlier, kept" in capsys.readouterr().err


def test_compare_without_a_page_writes_none(runs):
    assert main(["compare", *quick("parity", runs, "--sizes", "4", "--workers", "1", "--no-page")]) == 0
    assert not (runs / "report.html").exists()


def test_train_text_then_generate(runs, corpus, capsys):
    assert main(["train", *quick("text", runs, "--sizes", "16", "--width", "8", "--file", str(corpus))]) == 0
    said = capsys.readouterr().out
    assert "tokens/s in training" in said
    assert "tokens/s in generation" in said
    (folder,) = [path for path in runs.iterdir() if path.is_dir()]
    assert f"statewise generate --run {folder}" in said

    command = [sys.executable, "-c", "from statewise.cli import main; raise SystemExit(main())", "generate"]
    with subprocess.Popen(
        [*command, "--run", folder, "--length", "9"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b"", "a reader that leaves, as head does, is no reason for a traceback"
        assert process.wait() == 1
    assert main(["generate", "--run", str(folder), "--prompt", "to be", "--length", "20", "--temperature", "0"]) == 0
    first = capsys.readouterr()
    assert first.out.startswith("to be")
    bits = 3 * (2 * 8 + 3 * 8) * 32
    assert f"tokens/s, {bits:,} bits of state" in first.err
    assert main(["generate", "--run", str(folder), "--prompt", "to be", "--length", "20", "--temperature", "0"]) == 0
    assert capsys.readouterr().out == first.out


def test_train_on_a_rule_says_where_the_model_is(runs, capsys):
    assert main(["train", *quick("parity", runs, "--sizes", "4")]) == 0
    (folder,) = [path for path in runs.iterdir() if path.is_dir()]
    assert f"kept in {folder}" in capsys.readouterr().out


def test_a_time_budget_is_spent_and_labelled(runs):
    asked = ["train", "parity", "--models", "attention", "--time", "1s", "--sizes", "64", "--batch-size", "4"]
    assert main([*asked, "--output", str(runs)]) == 0
    (record,) = RunStore(runs).records()
    assert record.because == "the budget is used up"
    assert record.training["budget"] == "wall-clock"
    assert 1 <= record.training["seconds"] < 3


@pytest.mark.parametrize("command", ["compare", "train"])
@pytest.mark.parametrize(("flag", "kept"), [((), True), (("--no-keep-memory",), False)])
def test_freed_memory_is_kept_unless_told_otherwise(command, flag, kept, runs, monkeypatch):
    prepared = []

    def noted(*arguments, prepare, **options):
        prepared.append(prepare)
        return run_all(*arguments, **options)

    monkeypatch.setattr(watched, "run_all", noted)
    page = ["--no-page"] if command == "compare" else []
    assert main([command, *quick("parity", runs, "--sizes", "4", "--seeds", "0", *page, *flag)]) == 0
    assert prepared == [keep_freed_memory if kept else None]


def test_an_output_with_brackets_and_colons_is_printed_as_it_is(tmp_path, capsys):
    runs = tmp_path / "runs[/b]:smile:"
    assert main(["compare", *quick("parity", runs, "--sizes", "4", "--seeds", "0")]) == 0
    assert f"Report: {runs}/report.html\n" in capsys.readouterr().out


def test_a_corpus_with_brackets_in_its_name_is_a_title(runs, corpus, capsys, monkeypatch):
    monkeypatch.chdir(corpus.parent)
    corpus.rename("a[red].txt")
    assert main(["train", *quick("text", runs, "--sizes", "16", "--width", "8", "--file", "a[red].txt")]) == 0
    assert "text (file a[red].txt)" in capsys.readouterr().out


def test_a_sample_keeps_to_the_places_that_were_learned(runs, corpus, capsys):
    asked = quick("text", runs, "--sizes", "16", "--width", "8", "--file", str(corpus), "--positions", "learned")
    assert main(["train", *asked]) == 0
    assert "tokens/s in generation" in capsys.readouterr().out
    (record,) = RunStore(runs).records()
    generate = ["generate", "--run", str(runs / record.name), "--prompt", "to be", "--length"]
    assert main([*generate, "11"]) == 0
    capsys.readouterr()
    assert main([*generate, "12"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "prompt has 5 bytes and length is 12; the model has learned positions for 11 bytes after it" in said.err


def test_bounds_prints_number_assumption_and_source(capsys):
    assert main(["bounds", "index-lookup", "--size", "64", "--settings", "alphabet=16", "--state-bits", "128"]) == 0
    said = capsys.readouterr().out
    for part in ("bits: at least 256", "accuracy: at most 0.697", "assumes", "Theorem 3", "sphere covering"):
        assert part in said


def test_doctor_says_which_kernel_would_run_and_why(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert torch.__version__ in said
    assert "scans        cpu float32: cpu, because" in said
    assert "scans        cpu float16: reference, because" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "party"], "unknown task 'party': did you mean parity or majority?"),
        (["compare", "parity", "--models", "mingruu"], "unknown model 'mingruu': did you mean mingru"),
        (["compare", "parity", "--models", "mingru++attention"], "stack 'mingru++attention': '' is not a layer"),
        (["compare", "parity", "--sizes", "0"], "parity: size is 0; it must be a positive integer"),
        (["compare", "parity", "--sizes", "-4"], "parity: size is -4; it must be a positive integer"),
        (["compare", "parity", "--seeds"], "there are no seeds; name at least one"),
        (["train", "text", "--file", "missing.txt"], "text: there is no file missing.txt"),
        (["train", "text", "--file", "EMPTY"], "is empty"),
        (["train", "text", "--file", "DIRECTORY"], "is a directory; name one file"),
        (["train", "text", "--file", "SHORT"], "one window of size 256 needs 257: take a longer file"),
        (["train", "parity", "--time", "5 minutes"], "time is '5 minutes'; write a positive number of seconds"),
        (["bounds", "dyck", "--size", "7"], "dyck: size is 7; it must be a positive multiple of 2"),
        (["generate", "--run", "RUN", "--prompt", ""], "the prompt needs at least one character"),
        (["generate", "--run", "RUN", "--length", "0"], "length must be at least 1"),
        (["generate", "--run", "RUN", "--temperature", "-1"], "temperature is -1.0; it must be at least 0"),
        (["generate", "--run", "RUN", "--temperature", "nan"], "temperature is nan; it must be at least 0"),
        (["compare", "parity", "--workers", "0"], "workers is 0; it must be at least 1"),
        (["compare", "parity", "--workers", "-1"], "workers is -1; it must be at least 1"),
        (["compare", "parity", "--width", "0"], "width is 0; it must be at least 1"),
        (["compare", "parity", "--positions", "sine"], "positions is 'sine'; it must be one of"),
        (["compare", "parity", "--learning-rates", "nan"], "learning_rate is nan"),
        (["compare", "parity", "--batch-size", "0"], "batch_size is 0"),
        (["compare", "parity", "--settings", "every_prefix"], "'every_prefix' is not of the form name=value"),
        (["train", "parity", "--train-sizes", "-4"], "parity: size is -4"),
        (["train", "parity", "--seeds", "1", "1"], "seeds are named twice"),
    ],
)
def test_bad_input_is_one_line_with_status_2_and_leaves_nothing(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").touch()
    (tmp_path / "DIRECTORY").mkdir()
    (tmp_path / "SHORT").write_text("too short")
    before = sorted(tmp_path.rglob("*"))
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.startswith("statewise: ")
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_that_cannot_be_written_is_refused_before_training(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["compare", *quick("parity", tmp_path / "file" / "runs", "--sizes", "4")]) == 2
    assert f"runs cannot be written to {tmp_path / 'file' / 'runs'}: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["compare", "--no-such-option"], ["conpare"], ["bounds", "parity"]])
def test_an_unknown_option_or_command_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err


def test_a_run_that_is_not_there_is_a_usage_error(tmp_path, capsys):
    assert main(["generate", "--run", str(tmp_path / "absent")]) == 2
    assert "there is nothing at" in capsys.readouterr().err


def test_generate_refuses_a_model_that_was_not_trained_on_text(runs, capsys):
    main(["train", *quick("parity", runs, "--sizes", "4")])
    (folder,) = [path for path in runs.iterdir() if path.is_dir()]
    assert main(["generate", "--run", str(folder)]) == 2
    assert f"{folder} is not a run that was trained on text" in capsys.readouterr().err


def test_a_diverged_run_is_missing_from_the_table_with_its_reason(runs, capsys):
    arguments = ["compare", "parity", "--models", "gru", "--sizes", "4", "--steps", "60", "--learning-rates", "1e30"]
    assert main([*arguments, "--seeds", "0", "--output", str(runs), "--no-page"]) == 0
    assert (
        "1 of 1 runs are missing:\n  parity · gru · rate 1e+30 · seed 0: diverged, the loss was"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize("name", ["compare", "train", "generate", "bounds", "doctor"])
def test_every_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert "usage: statewise" in capsys.readouterr().out


def test_what_a_model_says_cannot_steer_the_terminal():
    assert printable("\x1b[2J\x9b\r\x00ok\n\tü") == "�[2J���ok\n\tü"


class Terminal(io.StringIO):
    """Standard error as a terminal that keeps what it shows."""

    def isatty(self):
        return True


def test_a_terminal_gets_bars_and_a_pipe_gets_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(watch(3), Bars)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(watch(3), Lines)


def test_bars_follow_their_runs_and_go_with_them(monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    one, other = Comparison(tasks=("parity",), models=("gru",), seeds=(0, 1)).plan()
    progress = Progress(step=3, fraction=0.5, loss=0.25, tokens_per_second=1234.0, seconds=2.0, seconds_left=2.0)
    with watch(2) as bars:
        for run in (one, other):
            bars.begin(run)
        bars.event(one, progress)
        of_one, of_other = (bars.bars.tasks[bars.bars.task_ids.index(bars.of_run[run.name])] for run in (one, other))
        assert (of_one.completed, of_other.completed) == (0.5, 0)
        assert of_one.fields["say"] == "loss 0.250 · 1,234 tokens/s · 2.0 s left"
        bars.end(one, Record(config={}, status="crashed", because="[/b] :smile:"), skipped=False)
        assert [task.description for task in bars.bars.tasks] == ["all runs", other.title]
        assert (bars.done, bars.bars.tasks[0].completed, bars.bars.tasks[0].fields["say"]) == (1, 1, "1 of 2 runs")
        bars.end(other, Record(config={}, status="finished", because=""), skipped=True)
    assert bars.bars.live.is_started is False
    assert "parity · gru · rate 0.005 · seed 0 · crashed: [/b] :smile:" in terminal.getvalue()
    assert "parity · gru · rate 0.005 · seed 1 · finished earlier, kept" in terminal.getvalue()


def test_lines_tell_evaluations_and_count_ends(capsys):
    (run,) = Comparison(tasks=("parity",), models=("gru",), seeds=(0,)).plan()
    with Lines(2) as lines:
        lines.begin(run)
        lines.event(run, Progress(step=3, fraction=0, loss=0, tokens_per_second=0, seconds=0, seconds_left=0))
        lines.event(
            run,
            Evaluated(
                step=3, split="validation", size=8, loss=0.5, token_accuracy=0.75, sequence_accuracy=0, seconds=61
            ),
        )
        lines.end(run, Record(config={}, status="diverged", because="the loss was nan"), skipped=False)
        done = Record(config={}, status="finished", because="all steps", training={"seconds": 2.0})
        lines.end(run, done, skipped=False)
    assert lines.done == 2
    assert capsys.readouterr().err.splitlines() == [
        "parity · gru · rate 0.005 · seed 0 · step 3 · size 8 · loss 0.500 · token accuracy 75.0% · 1 min 1 s",
        "[1/2] parity · gru · rate 0.005 · seed 0 · diverged: the loss was nan",
        "[2/2] parity · gru · rate 0.005 · seed 0 · finished in 2.0 s: all steps",
    ]


def test_capacity_prints_what_was_read_back_and_draws_it(runs, capsys):
    arguments = ["--models", "mingru", "--alphabet", "4", "--sizes", "4", "8", "--seeds", "0", "1", "--steps", "3"]
    assert main(["capacity", *arguments, "--workers", "1", "--output", str(runs)]) == 0
    said = capsys.readouterr().out
    for part in ("recovered bits", "at least", "utilisation", "1,024", "mingru holds no string whole", "Bonferroni"):
        assert part in said
    assert (runs / "capacity.html").exists()
    assert (runs / "index-lookup-bits.png").exists()


def test_capacity_refuses_what_compare_refuses(runs, capsys):
    assert main(["capacity", "--alphabet", "1", "--output", str(runs)]) == 2
    assert "alphabet is 1" in capsys.readouterr().err
    assert main(["capacity", "--workers", "0", "--output", str(runs)]) == 2
    assert "workers is 0" in capsys.readouterr().err
    assert not runs.exists()
