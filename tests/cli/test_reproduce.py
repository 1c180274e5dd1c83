"""Studies as a user types them."""

import dataclasses
import html
import json

import pytest

from statewise.cli.reproduce import Reproduce
from statewise.core.errors import UsageError
from statewise.runs.findings import load_studies
from statewise.studies.catalogue import STUDIES
from statewise.studies.cures import side_by_side
from statewise.studies.gated_rnn import architectures, in_context, teacher


@pytest.fixture(autouse=True)
def seconds(monkeypatch):
    """The smallest scale with fewer steps still: what is tested is that everything is drawn and said."""
    for module in (architectures, in_context, teacher):
        monkeypatch.setitem(module.SCALES, "smoke", dataclasses.replace(module.SCALES["smoke"], steps=2))
    long = dataclasses.replace(teacher.SCALES["smoke"], long_steps=3)
    monkeypatch.setitem(teacher.SCALES, "smoke", long)
    monkeypatch.setattr(in_context, "EXAMPLES", 16)
    monkeypatch.setitem(side_by_side.SCALES, "smoke", dataclasses.replace(side_by_side.SCALES["smoke"], steps=2))


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_prints_its_table_and_draws_its_figure(name, tmp_path, capsys):
    asked = Reproduce(name=name, scale="smoke", output=tmp_path, workers=1)
    assert asked.run() == 0
    said = capsys.readouterr()
    trains, measures = bool(STUDIES[name].runs("smoke")), STUDIES[name].measurements("smoke")
    for text in (STUDIES[name].claim, "quantity", "verdict", f"Source: {STUDIES[name].source[:20]}"):
        assert text in said.out
    assert ("not comparable: at smoke" in said.out) == (trains or bool(measures))
    assert said.err.count("measuring") == len(measures)
    assert {path.suffix for path in tmp_path.glob(f"{name}-smoke-*")} == {".svg", ".png"}
    assert f"Report: {tmp_path / f'{name}-smoke.html'}" in said.out
    assert STUDIES[name].claim in html.unescape((tmp_path / f"{name}-smoke.html").read_text())
    (saved,) = load_studies(tmp_path)
    assert (saved.name, saved.scale) == (name, "smoke")
    assert all((tmp_path / run / "record.json").exists() for run in saved.runs)
    assert asked.run() == 0
    again = capsys.readouterr().err
    assert ("finished earlier, kept" in again) == trains
    assert "measuring" not in again


def test_the_file_goes_to_the_study_that_reads_one(tmp_path, capsys):
    corpus = tmp_path / "input.txt"
    corpus.write_text("To be, or not to be: that is the question.\n" * 800)
    asked = Reproduce(name="minrnn-shakespeare", scale="smoke", file=str(corpus), output=tmp_path / "runs", workers=1)
    assert dataclasses.replace(asked, figures=False).run() == 0
    (config, *_) = (tmp_path / "runs").glob("*/config.json")
    assert json.loads(config.read_text())["task"]["file"] == str(corpus)


def test_without_a_name_every_study_is_listed_with_its_claim(tmp_path, capsys):
    assert Reproduce(output=tmp_path / "none").run() == 0
    said = capsys.readouterr().out
    for name, study in STUDIES.items():
        assert name in said
        assert study.claim in said
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Reproduce(name="gated-rnn-techer"), "unknown study 'gated-rnn-techer': did you mean gated-rnn-teacher"),
        (Reproduce(name="gated-rnn-icl", scale="large"), "unknown scale 'large'"),
        (Reproduce(name="gated-rnn-icl", workers=0), "reproduce: workers is 0; it must be at least 1"),
        (Reproduce(name="minrnn-shakespeare", figures=False), "it trains on a text file, and none is named; .*--file"),
        (Reproduce(name="istree", file="a.txt"), "reproduce: file is a.txt, which istree does not read"),
    ],
)
def test_what_cannot_be_reproduced_is_one_line(asked, message, capsys):
    with pytest.raises(UsageError, match=message) as caught:
        asked.run()
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""
