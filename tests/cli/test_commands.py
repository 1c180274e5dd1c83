"""Commands as a user types them: what they print, what they leave, and how they refuse."""

import pytest
import torch

from statewise.cli import main
from statewise.cli.console import printable
from statewise.tasks.text import read_corpus


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
    for part in ("token acc. %", "required bits", "No run is missing: 3 of 3 finished.", "Verdict", "parity: mingru"):
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


def test_a_time_budget_is_kept_and_labelled(runs):
    import statewise

    assert main(["train", "parity", "--models", "gru", "--time", "1s", "--sizes", "6", "--output", str(runs)]) == 0
    (folder,) = [path for path in runs.iterdir() if path.is_dir()]
    training = statewise.load(folder).record.training
    assert training["budget"] == "wall-clock"
    assert training["seconds"] < 2


def test_bounds_prints_number_assumption_and_source(capsys):
    assert main(["bounds", "index-lookup", "--size", "64", "--settings", "alphabet=16", "--state-bits", "128"]) == 0
    said = capsys.readouterr().out
    for part in ("bits: at least 256", "accuracy: at most 0.697", "assumes", "Theorem 3", "sphere covering"):
        assert part in said


def test_doctor_says_which_kernel_would_run_and_why(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert torch.__version__ in said
    assert "linear_scan  cpu float32: cpu, because" in said
    assert "linear_scan  cpu bfloat16: reference, because" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "party"], "unknown task 'party': did you mean parity?"),
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
        (["bounds", "text", "--size", "8"], "text has no rule, so no bits are required"),
        (["bounds", "dyck", "--size", "7"], "dyck: size is 7; it must be a positive multiple of 2"),
        (["generate", "--run", "RUN", "--prompt", ""], "the prompt needs at least one character"),
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


def test_a_run_that_is_not_there_is_a_failure_not_a_usage_error(tmp_path, capsys):
    assert main(["generate", "--run", str(tmp_path / "absent")]) == 1
    assert "there is nothing at" in capsys.readouterr().err


def test_generate_refuses_a_model_that_was_not_trained_on_text(runs, capsys):
    main(["train", *quick("parity", runs, "--sizes", "4")])
    (folder,) = [path for path in runs.iterdir() if path.is_dir()]
    assert main(["generate", "--run", str(folder)]) == 2
    assert f"{folder} is not a run that was trained on text" in capsys.readouterr().err


def test_a_diverged_run_is_missing_from_the_table_with_its_reason(runs, capsys):
    arguments = ["compare", "parity", "--models", "gru", "--sizes", "4", "--steps", "60", "--learning-rate", "1e30"]
    assert main([*arguments, "--seeds", "0", "--output", str(runs), "--no-page"]) == 0
    assert "1 of 1 runs are missing:\n  parity · gru · seed 0: diverged, the loss was" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["compare", "train", "generate", "bounds", "doctor"])
def test_every_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert "usage: statewise" in capsys.readouterr().out


def test_what_a_model_says_cannot_steer_the_terminal():
    assert printable("\x1b[2J\x9b\r\x00ok\n\tü") == "�[2J���ok\n\tü"


@pytest.fixture(autouse=True)
def _fresh_corpora():
    yield
    read_corpus.cache_clear()
