"""statewise translate as a user types it."""

import io
import sys

import pytest

from statewise.cli import main

pytest.importorskip("sacrebleu")
pytest.importorskip("tokenizers")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.en").write_text("".join(f"a dog sees {n} cats\n" for n in range(60)))
    (tmp_path / "a.de").write_text("".join(f"ein Hund sieht {n} Katzen\n" for n in range(60)))
    return tmp_path


def train(*more):
    files = [
        "--source",
        "a.en",
        "--target",
        "a.de",
        "--pieces",
        "300",
        "--width",
        "8",
        "--steps",
        "2",
        "--workers",
        "1",
    ]
    return main(["translate", "train", *files, *more])


# An untrained model writes bytes that are no UTF-8, as they are.
def test_training_prints_scores_and_the_run_translates(here, capsysbinary, monkeypatch):
    assert train("--models", "mingru", "--bridge", "attention", "state") == 0
    said = capsysbinary.readouterr().out.decode()
    for text in (
        "mingru, bridge attention",
        "mingru, bridge state",
        "perplexity",
        "nats/byte",
        "BLEU nrefs:1",
        "chrF nrefs",
    ):
        assert text in said
    folder = said.partition("kept in ")[2].partition(";")[0]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a dog\n\n\xff\n")))
    assert main(["translate", "run", "--run", folder, "--beams", "2"]) == 0
    told = capsysbinary.readouterr()
    assert told.out.count(b"\n") == 3
    assert told.out.split(b"\n")[1] == b""
    assert b"lines/s" in told.err
    assert main(["translate", "test", "--run", folder, "--source", "a.en", "--target", "a.de", "--save", "out"]) == 0
    said = capsysbinary.readouterr().out.decode()
    for text in ("BLEU", "nrefs:1|case:mixed", "perplexity", "60 sentences, 4 beams, length penalty 1"):
        assert text in said
    assert (here / "out").read_bytes().count(b"\n") == 60
    assert train("--models", "mingru", "--bridge", "attention", "state") == 0
    assert b"finished earlier, kept" in capsysbinary.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "short.de"], "translation: a.en has 60 lines and short.de has 2; each must have a partner. "
         "The first without one is line 3 of a.en: 'a dog sees 2 cats'"),
        (["--target", "empty"], "statewise: translation: empty is empty; it must have a sentence in each line"),
        (["--target", "absent"], "statewise: translation: absent cannot be read: No such file or directory"),
        (["--bridge", "state", "--models", "attention"], "has no final state of one size; take a recurrent"),
        (["--bridge", "rope"], "statewise: unknown bridge 'rope'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_leaves_nothing(here, capsys, arguments, message):
    (here / "short.de").write_text("eins\nzwei\n")
    (here / "empty").write_text("")
    assert train(*arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (here / "runs").exists()


def test_a_run_that_is_none_and_a_file_that_is_none(here, capsys):
    assert main(["translate", "run", "--run", "nowhere"]) == 2
    assert "there is nothing at nowhere" in capsys.readouterr().err
    assert main(["translate", "test", "--run", "nowhere", "--source", "absent.tsv"]) == 2
    assert "absent.tsv cannot be read" in capsys.readouterr().err


def test_a_test_file_of_another_length_writes_nothing(here, capsys):
    assert train("--models", "mingru") == 0
    folder = capsys.readouterr().out.partition("kept in ")[2].partition(";")[0]
    (here / "short.de").write_text("eins\n")
    assert (
        main(["translate", "test", "--run", folder, "--source", "a.en", "--target", "short.de", "--save", "out"]) == 2
    )
    assert "The first without one is line 2 of a.en" in capsys.readouterr().err
    assert not list(here.glob("out*"))
