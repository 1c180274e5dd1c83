"""Every study in one go, with two small ones that are made up: one that works and one that fails."""

import dataclasses

import pytest

from statewise.cli import main, reproduce
from statewise.cli.reproduce import Reproduce
from statewise.core.errors import UsageError
from statewise.models import ModelConfig
from statewise.runs.findings import Chart, Curve, Findings, Published, Quantity, load_studies
from statewise.studies import EvaluationConfig, RunConfig
from statewise.studies.catalogue import STUDIES
from statewise.studies.study import SCALES, Study
from statewise.tasks import Parity
from statewise.training import TrainingConfig


def plan(scale):
    """Two runs of a moment."""
    return [
        RunConfig(
            task=Parity().identity(),
            model=ModelConfig(vocabulary=2, width=4, stack="mingru"),
            training=TrainingConfig(sizes=(4,), steps=1, batch_size=4, validation=8),
            evaluation=EvaluationConfig(sizes=(4,), examples=8, strings=0),
            seed=seed,
        )
        for seed in (0, 1)
    ]


def read(scale, trained):
    """One number and one curve."""
    losses = tuple(trained.loss(run) for run in trained.finished(plan(scale)))
    chart = Chart(
        name="loss", title="A title", x_label="x", y_label="y", curves=(Curve(label="a", points=((1.0, losses),)),)
    )
    published = Published(words="<some>", known="made up", high=1.0)
    return Findings(quantities=(Quantity(name="a loss", values=losses, published=published),), charts=(chart,))


def failing(scale, trained):
    """An error that nobody foresaw."""
    raise ZeroDivisionError("nothing to divide by")


WORKS = Study(
    name="works", claim="Something holds.", source="nowhere", times={"smoke": "30 s of CPU time"}, plan=plan, read=read
)
FAILS = dataclasses.replace(WORKS, name="fails", claim="Nothing holds.", times={"smoke": "soon"}, read=failing)


@pytest.fixture
def studies(monkeypatch):
    """A catalogue in which the one that fails comes first."""
    made_up = {study.name: study for study in (FAILS, WORKS)}
    monkeypatch.setattr(reproduce, "STUDIES", made_up)
    return made_up


def run(output, **more):
    return Reproduce(all=True, scale="smoke", output=output, workers=1, **more).run()


def test_the_expected_time_comes_first_and_a_failure_last(studies, tmp_path, capsys):
    assert run(tmp_path, figures=False) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "fails: time not measured",
        "works: about 30.0 s",
        "Together about 30.0 s on two cores, and 1 study whose time nobody measured: fails.",
    ]
    assert "works at scale smoke: Something holds." in lines
    assert "fails failed, the others go on: ZeroDivisionError: nothing to divide by" in lines
    assert lines[-1] == "Failed: fails: ZeroDivisionError: nothing to divide by"


def test_one_report_holds_what_every_study_found(studies, tmp_path, capsys):
    del studies["fails"]
    studies["again"] = dataclasses.replace(WORKS, name="again", claim="It holds <twice>.")
    assert run(tmp_path) == 0
    assert f"Report: {tmp_path / 'studies-smoke.html'}" in capsys.readouterr().out
    assert [path.name for path in tmp_path.glob("*.html")] == ["studies-smoke.html"]
    page = (tmp_path / "studies-smoke.html").read_text()
    assert "works, at scale smoke" in page
    assert "again, at scale smoke" in page
    assert "It holds &lt;twice&gt;." in page
    assert {study.name for study in load_studies(tmp_path)} == {"works", "again"}


def test_what_is_there_is_kept_and_not_expected_again(studies, tmp_path, capsys):
    assert run(tmp_path, figures=False) == 1
    capsys.readouterr()
    assert run(tmp_path, figures=False) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[:3] == [
        "fails: all of its 2 runs are there",
        "works: all of its 2 runs are there",
        "Together about 0.0 s on two cores.",
    ]
    assert said.err.count("finished earlier, kept") == 4


def test_half_of_the_runs_take_half_of_the_time(studies, tmp_path, capsys):
    del studies["fails"]
    assert run(tmp_path, figures=False) == 0
    first = plan("smoke")[0]
    for path in (tmp_path / first.name).iterdir():
        path.unlink()
    (tmp_path / first.name).rmdir()
    capsys.readouterr()
    assert run(tmp_path, figures=False) == 0
    assert capsys.readouterr().out.startswith("works: about 15.0 s, 1 of 2 runs are there\n")


def test_a_plan_that_fails_does_not_stop_the_others(studies, tmp_path, capsys):
    studies["fails"] = dataclasses.replace(FAILS, plan=lambda scale: 1 / 0)
    assert run(tmp_path, figures=False) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fails: time not measured"
    assert "works at scale smoke: Something holds." in lines
    assert lines[-1] == "Failed: fails: ZeroDivisionError: division by zero"


def test_an_interrupt_stops_everything(studies, tmp_path):
    def interrupted(scale, trained):
        raise KeyboardInterrupt

    studies["fails"] = dataclasses.replace(FAILS, read=interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, figures=False)


def test_a_study_that_reads_a_file_is_left_out_without_one(studies, tmp_path, capsys):
    seen = []

    def with_file(file):
        seen.append(file)
        return dataclasses.replace(WORKS, name="reads", with_corpus=with_file)

    del studies["fails"]
    studies["reads"] = dataclasses.replace(WORKS, name="reads", with_corpus=with_file)
    assert run(tmp_path, figures=False) == 0
    said = capsys.readouterr().out
    assert said.startswith("reads is left out: it reads a text file; name one with --file\n")
    assert "reads at scale" not in said
    assert run(tmp_path, figures=False, file="some.txt") == 0
    assert seen == ["some.txt"]
    assert "reads at scale smoke" in capsys.readouterr().out


def test_all_and_a_name_cannot_both_be_asked_for(tmp_path):
    with pytest.raises(UsageError, match="reproduce: all is asked for and so is istree; leave one of them out"):
        Reproduce(all=True, name="istree", output=tmp_path).run()


def test_help_lists_every_study_with_its_claim_and_its_times(capsys):
    with pytest.raises(SystemExit):
        main(["reproduce", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for name, study in STUDIES.items():
        assert f"{name} {study.claim}" in said
        for scale in SCALES:
            assert f"{scale}: {study.times.get(scale, 'time not measured')}" in said
