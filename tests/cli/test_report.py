"""A page of what a folder holds, without a run."""

import json
from dataclasses import replace

import pytest

from statewise.cli.report import Report
from statewise.core.config import to_plain
from statewise.core.errors import RunError, UsageError
from statewise.runs import Record, Result, RunStore
from statewise.runs.findings import (
    Chart,
    Curve,
    Findings,
    Grid,
    Quantity,
    StudyRecord,
    around,
    load_studies,
    save_study,
)
from statewise.runs.record import Validation
from statewise.tasks import Parity


def keep(root, seed, *, width=8, stack="gru", accuracy=1.0):
    """A finished run in its folder."""
    config = {
        "task": Parity().identity(),
        "model": {"stack": stack, "width": width, "positions": "none"},
        "training": {"learning_rate": 0.005, "steps": 10},
        "evaluation": {"sizes": [8]},
        "seed": seed,
    }
    result = Result(
        size=8, loss=0.5, token_accuracy=accuracy, sequence_accuracy=accuracy, sequences=10, state_bits=64,
        counter_bits=0, validation=Validation(loss=0.5, token_accuracy=accuracy, sequence_accuracy=accuracy),
    )  # fmt: skip
    record = Record(
        config=config,
        status="finished",
        because="the budget is used up",
        facts={"recurrent": True, "non_negative_decay": False, "parameters": 9},
        results=(result,),
        training={"seconds": 1.0, "budget": "steps"},
    )
    with RunStore(root).begin(config) as folder:
        folder.model.touch()
        folder.finish(record)
    return record


@pytest.fixture
def study():
    return StudyRecord(
        name="example",
        scale="small",
        claim="Wide is better.",
        source="a paper",
        runs=(),
        findings=Findings(
            quantities=(Quantity(name="rate", values=(1.0, 2.0, 3.0), published=around(2.0, "seen", share=0.1)),),
            charts=(
                Chart(
                    name="c",
                    title="t",
                    x_label="x",
                    y_label="y",
                    curves=(Curve(label="a", points=((1.0, (2.0, 3.0)),)),),
                ),
            ),
            grids=(Grid(title="g", headings=("a", "b"), rows=(("1", "2"),)),),
            notes=("a note",),
        ),
    )


def test_runs_and_studies_of_a_folder_are_in_one_page(study, tmp_path, capsys):
    wide = keep(tmp_path, 0, width=64)
    keep(tmp_path, 0, accuracy=0.25)
    mine = keep(tmp_path, 5, stack="lstm")
    save_study(replace(study, runs=(mine.name, "0123456789abcdef")), tmp_path)
    assert Report(output=tmp_path).run() == 0
    said = capsys.readouterr().out
    assert "parity: gru (width 64) solves size 8." in said
    assert "parity: gru (width 8) solves no size" in said
    assert "lstm" not in said
    assert f"Report: {tmp_path / 'report.html'}" in said
    text = (tmp_path / "report.html").read_text()
    for part in ("example, at scale small", "Wide is better.", wide.name, mine.name, 'data-model="gru (width 64)"'):
        assert part in text, part


def test_a_study_comes_back_as_it_was_saved(study, tmp_path):
    path = save_study(study, tmp_path)
    assert path.name == "example-small.study.json"
    assert load_studies(tmp_path) == [study]
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_study_is_named(study, tmp_path):
    path = save_study(study, tmp_path)
    plain = to_plain(study)
    plain["findings"]["charts"][0]["curves"][0]["points"] = [[1.0]]
    path.write_text(json.dumps(plain))
    with pytest.raises(
        RunError, match=r"small\.study\.json is damaged: .*points has 1 items; it must have 2; remove it"
    ):
        load_studies(tmp_path)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "report: .* holds no run and no study; name the folder with --output"),
        ({"name": "../a"}, "report: name is '../a'; it must be that of a file, without a folder"),
    ],
)
def test_what_cannot_be_reported_is_one_line(asked, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        Report(output=tmp_path, **asked).run()
