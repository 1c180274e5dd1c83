"""Text on the command line: corpora of every kind, byte pairs, states that go on, and comparisons."""

import io
import pickle
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from statewise.cli import main
from statewise.cli.text_parts import kept_texts
from statewise.cli.train import Train
from statewise.models.continuation import KEY
from statewise.report.text import curve_of, loss_at
from statewise.runs import RunStore
from statewise.runs.on_disk import MODEL, TOKENIZER
from statewise.studies import Comparison, load
from statewise.studies.equal_parameters import at_parameters, count_parameters
from statewise.studies.samples import excerpt_of
from statewise.studies.writing import Stopping
from statewise.tasks import PackedText, Text
from statewise.training import Group

SENTENCE = "to be or not to be, that is the question; "


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("".join(f"{SENTENCE}{number * number}\n" for number in range(300)))
    return path


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def train(runs, *more, models=("mingru",), steps=3):
    small = ["--sizes", "16", "--width", "8", "--batch-size", "4", "--steps", str(steps), "--output", str(runs)]
    return main(["train", "text", "--models", *models, *small, *map(str, more)])


def only(runs):
    (folder,) = [path for path in runs.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return folder


def generate(folder, *more):
    return main(["generate", "--run", str(folder), *map(str, more)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A byte-level run."""
    root = tmp_path_factory.mktemp("trained")
    (root / "corpus").write_text(SENTENCE * 100)
    assert train(root / "runs", "--file", root / "corpus") == 0
    return only(root / "runs")


@pytest.fixture(scope="module")
def in_pairs(tmp_path_factory):
    """A run in byte pairs."""
    pytest.importorskip("tokenizers", reason="needs the extra text")
    root = tmp_path_factory.mktemp("pairs")
    (root / "corpus").write_text("".join(f"{SENTENCE}{number * number}\n" for number in range(300)))
    pairs = ["--tokenizer", "bpe", "--vocabulary", "300", "--cache", root / "cache"]
    assert train(root / "runs", "--file", root / "corpus", *pairs) == 0
    return only(root / "runs")


def test_byte_pairs_are_reported_by_the_byte_too_and_kept_with_the_run(in_pairs, capsys):
    (record,) = RunStore(in_pairs.parent).records()
    (result,) = record.results
    assert 0 < result.loss_per_byte < result.loss
    saved = load(in_pairs)
    task = PackedText(**{k: v for k, v in saved.config.task.items() if k not in ("name", "class", "files")})
    batch = task.examples("test", seed=0, start=0, count=task.num_examples("test", 16), size=16)
    per_token = task.num_bytes(batch) / int(batch.scored.sum())
    assert result.loss_per_byte == pytest.approx(result.loss / per_token)
    assert saved.tokens.vocabulary == saved.config.model.vocabulary <= 300
    assert (in_pairs / TOKENIZER).read_text() == task.byte_pairs().text
    assert generate(in_pairs, "--prompt", "to be", "--length", 5) == 0
    assert capsys.readouterr().out.startswith("to be")


def test_bytes_are_reported_by_the_byte(trained):
    (record,) = RunStore(trained.parent).records()
    assert record.results[0].loss_per_byte == pytest.approx(record.results[0].loss)
    assert not (trained / TOKENIZER).exists()


def test_the_table_says_nats_per_token_and_per_byte(corpus, runs, cache, capsys):
    pytest.importorskip("tokenizers", reason="needs the extra text")
    assert train(runs, "--file", corpus, "--tokenizer", "bpe", "--vocabulary", 280, "--cache", cache) == 0
    said = capsys.readouterr().out
    assert "per token" in said
    assert "per byte" in said
    assert "column text, tokenizer bpe, vocabulary_size 280" in " ".join(said.split())


def test_patterns_and_standard_input_are_corpora(corpus, runs, cache, monkeypatch, capsys):
    assert train(runs, "--file", f"{corpus.parent}/*.txt", "--cache", cache) == 0
    content = corpus.read_bytes() + b"\xff\xfe"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert train(runs, "--file", "-", "--cache", cache) == 0
    (kept,) = cache.glob("stdin-*.txt")
    assert kept.read_bytes() == content
    assert {record.status for record in RunStore(runs).records()} == {"finished"}
    assert not list(cache.glob("*half-written"))


def test_a_carried_state_trains(corpus, runs, capsys):
    assert train(runs, "--file", corpus, "--carry-state") == 0
    (record,) = RunStore(runs).records()
    assert record.config["task"]["streams"] == record.config["training"]["batch_size"] == 4


def test_models_that_are_compared_carry_states_in_full_precision(corpus, runs, capsys):
    asked = ["--file", str(corpus), "--carry-state", "--precision", "bf16-autocast", "--output", str(runs)]
    assert main(["compare", "text", "--models", "mingru", *asked]) == 2
    said = capsys.readouterr().err
    assert "carry_state carries a state in full precision, and precision is bf16-autocast; leave one of them" in said
    assert said.count("\n") == 1


def test_a_book_is_read_once_and_gone_on_from(trained, tmp_path, capsys, monkeypatch):
    book = (SENTENCE * 500).encode() + bytes([255, 0, 200])
    (tmp_path / "book").write_bytes(book)
    (tmp_path / "half").write_bytes(book[:9000])
    (tmp_path / "rest").write_bytes(book[9000:])
    drawing = ["--length", 40, "--top-k", 50, "--repetition-penalty", 1.2]
    assert generate(trained, "--prompt-file", tmp_path / "book", *drawing) == 0
    whole = capsys.readouterr()
    assert "tokens read at" in whole.err
    assert "bits of state (" in whole.err
    state = tmp_path / "read.state"
    assert generate(trained, "--prompt-file", tmp_path / "half", "--length", 0, "--save-state", state) == 0
    assert capsys.readouterr().out == "\n"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((tmp_path / "rest").read_bytes())))
    assert (
        generate(trained, "--load-state", state, "--prompt", "-", "--save-state", state, *drawing[2:], "--length", 15)
        == 0
    )
    first = capsys.readouterr().out.removesuffix("\n")
    assert generate(trained, "--load-state", state, *drawing[2:], "--length", 25) == 0
    second = capsys.readouterr().out
    assert first + second == whole.out
    assert state.stat().st_size < 20_000


def test_raw_bytes_are_written_as_they_are(trained):
    command = [sys.executable, "-c", "from statewise.cli import main; raise SystemExit(main())", "generate", "--raw"]
    done = subprocess.run(
        [*command, "--run", trained, "--length", "50", "--prompt", b"\xff"], capture_output=True, timeout=120
    )
    assert done.returncode == 0
    assert len(done.stdout) == 51
    assert done.stdout[0] == 255
    assert b"tokens/s" in done.stderr


def test_a_stop_string_ends_the_text(trained, capsys):
    assert generate(trained, "--length", 200, "--prompt", "x") == 0
    whole = capsys.readouterr().out
    ends = next(c for c in whole[20:] if c.isascii() and c.isalpha() and c not in "x")
    assert generate(trained, "--length", 200, "--prompt", "x", "--stop", "never to be", ends) == 0
    assert capsys.readouterr().out == whole[: whole.index(ends)] + "\n"


def test_stop_strings_are_found_across_pieces():
    text = b"a stop, no sto p and STOP"
    for cut in range(1, 6):
        stopping = Stopping([b"STOP", b"p an"])
        said = b""
        for i in range(0, len(text), cut):
            said += b"" if stopping.stopped else stopping.take(text[i : i + cut])
        assert said == text[: text.index(b"p an")]
        assert stopping.stopped
    stopping = Stopping([b"xyz"])
    assert stopping.take(text) + stopping.held == text


def test_a_prompt_longer_than_the_corpus_is_read(trained, tmp_path, capsys):
    (tmp_path / "long").write_text(SENTENCE * 300)
    assert generate(trained, "--prompt-file", tmp_path / "long", "--length", 3) == 0


BAD = [
    (["--prompt", "a", "--prompt-file", "BOOK"], "the prompt is given twice", 2),
    (["--prompt-file", "absent"], "absent cannot be read: No such file or directory", 2),
    (["--prompt-file", "EMPTY"], "the prompt is empty: EMPTY holds nothing", 2),
    (["--prompt", "-"], "the prompt is empty: standard input holds nothing", 2),
    (["--stop", ""], "a stop string is empty", 2),
    (["--top-k", "0"], "top_k is 0; it must be at least 1", 2),
    (["--top-p", "0"], "top_p is 0.0; it must be above 0", 2),
    (["--min-p", "2"], "min_p is 2.0; it must be from 0 to 1", 2),
    (["--repetition-penalty", "0"], "repetition_penalty is 0.0; it must be above 0", 2),
    (["--save-state", "absent/state"], "there is no folder absent", 2),
    (["--load-state", "absent"], "there is no state file absent", 1),
    (["--load-state", "BOOK"], "BOOK does not hold a whole state", 1),
    (["--load-state", "PAIRS"], "PAIRS holds the state of another model", 2),
    (["--load-state", "PICKLE"], "PICKLE does not hold a whole state: it is a pickle, which can run any program", 1),
    (["--load-state", "LATER"], "LATER was saved by another version of statewise, in format 2", 2),
    (["--load-state", "."], ". does not hold a whole state", 1),
]


@pytest.mark.parametrize(("asked", "message", "status"), BAD, ids=[message for _, message, _ in BAD])
def test_what_cannot_be_generated_is_one_line(asked, message, status, trained, in_pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    (tmp_path / "EMPTY").touch()
    (tmp_path / "BOOK").write_text(SENTENCE)
    torch.save({"a": torch.zeros(1)}, tmp_path / "PICKLE")
    assert generate(in_pairs, "--length", 0, "--save-state", "PAIRS") == 0
    assert generate(trained, "--length", 0, "--save-state", "LATER") == 0
    rewritten(
        tmp_path / "LATER", lambda about, _: about.update({KEY: about[KEY].replace('"format": 1', '"format": 2')})
    )
    capsys.readouterr()
    before = sorted(tmp_path.iterdir())
    assert generate(trained, *asked) == status
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert sorted(tmp_path.iterdir()) == before


def rewritten(path, change):
    """A safetensors file with its texts and tensors changed by `change`."""
    with safe_open(path, framework="pt") as file:
        about = dict(file.metadata())
    tensors = load_file(path)
    change(about, tensors)
    save_file(tensors, path, metadata=about)


def copied(folder, tmp_path):
    """A run folder of its own, for a test to spoil."""
    return Path(shutil.copytree(folder, tmp_path / folder.name))


BAD_TOKENIZERS = {
    "another": (lambda path: path.write_text(path.read_text() + "\n"), "is another tokenizer than the model was", 1),
    "torn": (lambda path: path.write_text(path.read_text()[:-9]), "tokenizer.json is no tokenizer.json", 2),
    "not UTF-8": (lambda path: path.write_bytes(b"\xff\xfe"), "tokenizer.json cannot be read: it is not UTF-8", 2),
    "missing": (Path.unlink, "holds no tokenizer.json, which its model reads text with; put back the one", 1),
}


@pytest.mark.parametrize("case", BAD_TOKENIZERS)
@pytest.mark.parametrize("command", ["generate", "convert"])
def test_a_tokenizer_that_does_not_fit_is_one_line(command, case, in_pairs, tmp_path, capsys):
    if command == "convert":
        pytest.importorskip("transformers", reason="needs the extra hf")
    spoil, message, status = BAD_TOKENIZERS[case]
    run = copied(in_pairs, tmp_path)
    spoil(run / TOKENIZER)
    assert refused(command, run, tmp_path) == status
    assert_one_line(capsys, message, tmp_path, run)


BAD_WEIGHTS = {
    "missing": (lambda path: rewritten(path, lambda _, t: t.pop("norm.weight")), "it lacks 1: norm.weight; copy or"),
    "surplus": (lambda path: rewritten(path, lambda _, t: t.update(more=torch.zeros(1))), "has too many by 1: more"),
    "shape": (
        lambda path: rewritten(path, lambda _, t: t.update({"norm.weight": torch.zeros(3)})),
        "norm.weight is (3,) of torch.float32; the model that it describes needs (8,) of torch.float32",
    ),
    "pickle": (lambda path: torch.save({}, path), "model.safetensors is a pickle, which can run any program when it"),
    "bare pickle": (lambda path: path.write_bytes(pickle.dumps({})), "model.safetensors is a pickle, which can run"),
    "torn": (lambda path: path.write_bytes(path.read_bytes()[:-9]), "model.safetensors does not hold a whole model"),
    "absent": (Path.unlink, "is damaged: it holds no model.safetensors"),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
@pytest.mark.parametrize("command", ["generate", "convert"])
def test_a_checkpoint_that_is_not_the_models_is_one_line(command, case, trained, tmp_path, capsys):
    if command == "convert":
        pytest.importorskip("transformers", reason="needs the extra hf")
    spoil, message = BAD_WEIGHTS[case]
    run = copied(trained, tmp_path)
    spoil(run / MODEL)
    assert refused(command, run, tmp_path) == 1
    assert_one_line(capsys, message, tmp_path, run)


def refused(command, run, tmp_path):
    """The status of a command that reads a run's model."""
    if command == "generate":
        return generate(run, "--length", 3)
    return main(["convert", str(run), str(tmp_path / "out")])


def assert_one_line(capsys, message, tmp_path, run):
    """That an error was said in a line, and that nothing was left but the run that was there."""
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert list(tmp_path.iterdir()) == [run]


def test_bytes_that_are_not_utf_8_survive_byte_pairs(in_pairs, tmp_path, capfdbinary):
    odd = b"\xff\xfe to be \xc3"
    assert generate(in_pairs, "--length", 3, "--raw", "--prompt", odd.decode(errors="surrogateescape")) == 0
    assert capfdbinary.readouterr().out.startswith(odd)
    (tmp_path / "odd").write_bytes((SENTENCE.encode() + odd) * 60)
    pairs = ["--tokenizer", "bpe", "--vocabulary", "280", "--cache", tmp_path / "cache"]
    assert train(tmp_path / "runs", "--file", tmp_path / "odd", *pairs) == 0
    saved = load(only(tmp_path / "runs"))
    (ids,) = saved.tokens.encode([odd])
    assert saved.tokens.decode(ids) == odd


def test_a_run_in_byte_pairs_is_converted_with_its_tokenizer(in_pairs, tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    assert main(["convert", str(in_pairs), str(tmp_path / "out")]) == 0
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    (ids,) = load(in_pairs).tokens.encode([SENTENCE.encode()])
    assert theirs(SENTENCE)["input_ids"] == ids.tolist()


BAD_CORPORA = [
    (["--file", "*.nothing"], "no file matches *.nothing"),
    (["--file", "EMPTY", "CORPUS"], "text: EMPTY is empty"),
    (["--file", "-"], "standard input is empty"),
    (["--file", "-", "-"], "standard input can be read once"),
    (
        ["--file", "CORPUS", "--vocabulary", "300"],
        "vocabulary is 300, which goes with tokenizer bpe; tokenizer is bytes",
    ),
    (["--file", "CORPUS", "--tokenizer", "bpe", "--vocabulary", "100"], "vocabulary is 100; it must be above 256"),
    (["--file", "CORPUS", "--tokenizer", "absent.json"], "absent.json cannot be read: No such file or directory"),
    (["--file", "CORPUS", "--tokenizer", "CORPUS"], "CORPUS is no tokenizer.json"),
    (["--separator", "x"], "none is named; name one: --file"),
    (["--file", "CORPUS", "--separator", ""], "text: the separator is empty"),
    (
        ["--file", "CORPUS", "--carry-state", "--precision", "bf16-autocast"],
        "asked for were 1 process, in bf16-autocast",
    ),
    (["--file", "CORPUS", "--carry-state", "--accumulation", "2"], "asked for were 1 process, accumulation 2, in full"),
    (["--file", "CORPUS", "--carry-state", "--models", "attention"], "the state of attention grows with every token"),
    (["--file", "CORPUS", "--carry-state", "--batch-size", "999"], "999 streams of one window of size 16 need 16983"),
]


@pytest.mark.parametrize(("asked", "message"), BAD_CORPORA, ids=[message for _, message in BAD_CORPORA])
def test_what_cannot_be_trained_on_is_one_line_and_leaves_nothing(asked, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    (tmp_path / "EMPTY").touch()
    (tmp_path / "CORPUS").write_text(SENTENCE * 40)
    size = ["--sizes", "16", "--cache", "cache"]
    assert main(["train", "text", *size, *asked]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"EMPTY", "CORPUS", "cache"}
    assert not list(tmp_path.glob("cache/*"))


def test_documents_without_a_second_byte_are_one_line(runs, tmp_path, cache, capsys):
    (tmp_path / "marks").write_text("|" * 2000)
    assert train(runs, "--file", tmp_path / "marks", "--separator", "|", "--cache", cache) == 2
    said = capsys.readouterr().err
    assert "marks: every document of train is a single token, so there is nothing to learn from" in said
    assert said.count("\n") == 1
    assert not runs.exists()


def test_a_cache_that_cannot_be_made_is_one_line(runs, corpus, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"to be")))
    assert train(runs, "--file", "-", "--cache", corpus / "within") == 2
    assert "standard input cannot be kept in" in (said := capsys.readouterr().err)
    assert said.count("\n") == 1


@dataclass(frozen=True)
class Both(Group):
    """The processes of a group one after the other: what the main one shares, the others find."""

    shelf: list = field(default_factory=list)

    def shared_object(self, value):
        if self.is_main:
            self.shelf.append(value)
        return self.shelf[-1]


def test_standard_input_is_read_by_the_main_process_alone(corpus, cache, monkeypatch):
    asked = Train(tasks=("text",), file=("-", str(corpus)), cache=str(cache))
    shelf = []
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"to be" * 100)))
    main_one, other = (asked.with_input_of_main(Both(rank, 2, shelf=shelf)) for rank in range(2))
    assert main_one == other
    kept, beside = other.file
    assert Path(kept).read_bytes() == b"to be" * 100
    assert beside == str(corpus)
    assert asked.with_input_of_main(Group()) is asked


def test_options_of_text_go_with_text(capsys):
    assert main(["compare", "parity", "--separator", "x"]) == 2
    assert "separator is x, which only the task text reads" in capsys.readouterr().err


def test_language_models_are_compared_at_equal_time_tokens_and_parameters(corpus, runs, capsys):
    models = ["mingru", "gru", "mingru*2+attention"]
    asked = ["--models", *models, "--steps", "4", "--sizes", "16", "--parameters", "60000", "--depth", "1"]
    asked += ["--seeds", "0", "1", "--batch-size", "4", "--workers", "1", "--output", str(runs), "--no-page"]
    assert main(["compare", "text", "--file", str(corpus), *asked]) == 0
    said = capsys.readouterr().out
    for part in ("loss at", "equal tokens", "peak", "the corpus itself", "Parameters are within", "repeated", *models):
        assert part in said, part
    kept = (runs / "text-comparison.txt").read_text()
    assert all(line in said for line in kept.splitlines() if line.strip())
    counts = [record.facts["parameters"] for record in RunStore(runs).records()]
    assert max(counts) / min(counts) < 1.1
    assert main(["report", "--output", str(runs)]) == 0
    page = (runs / "report.html").read_text()
    (part,) = kept_texts(runs)
    assert [[each.seed for each in line.written] for line in part.lines] == [[0, 1]] * 3
    assert page.count('<ul class="samples">') == 1
    assert all(f'aria-label="Written by {name}"' in page for name in ["the corpus itself", *models])
    capsys.readouterr()
    (runs / "text-comparison.json").write_text('[{"task": 3}]')
    assert main(["report", "--output", str(runs)]) == 1
    said = capsys.readouterr().err
    assert "text-comparison.json is damaged" in said
    assert "remove it, and compare again" in said
    (record, *_) = RunStore(runs).records()
    curve = curve_of(record, runs)
    assert loss_at(curve, record.training["tokens"]) == pytest.approx(record.results[0].validation.loss)


@pytest.mark.parametrize("stack", ["gru", "minlstm", "mamba", "attention", "mingru*2+attention"])
def test_models_that_are_compared_on_text_are_equally_large(stack):
    first, other = (run.model for run in Comparison(tasks=("text",), models=("mingru", stack), seeds=(0,)).plan())
    assert first.width == 128
    assert len(other.layers) == len(first.layers) == 3
    assert abs(count_parameters(other) / count_parameters(first) - 1) < 0.03
    assert other.positions == ("rope" if "attention" in stack else "none")


def test_widths_that_are_named_are_kept():
    asked = Comparison(tasks=("text",), models=("mingru", "gru"), seeds=(0,), width=24)
    assert [run.model.width for run in asked.plan()] == [24, 24]
    with pytest.raises(ValueError, match="parameters is 5, which decides the width; it goes without width and init"):
        replace(asked, parameters=5).plan()
    with pytest.raises(ValueError, match=r"mingru cannot have 5 parameters: at width 4 it has"):
        replace(asked, parameters=5, width=None).plan()
    model = asked.plan()[0].model
    assert at_parameters(model, count_parameters(model)) == model


def test_an_excerpt_of_a_short_corpus_is_short(tmp_path):
    (tmp_path / "short").write_bytes(bytes(range(200)))
    prompt, text = excerpt_of(Text(file=str(tmp_path / "short")))
    assert prompt + text == bytes(range(180, 200))
