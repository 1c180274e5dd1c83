"""Measurements: made in a process of their own, kept as files, and not made again."""

import dataclasses
import json
import os

import pytest

from statewise.core.errors import RunError
from statewise.runs import RunStore
from statewise.runs.findings import Findings, Quantity
from statewise.studies import measurement
from statewise.studies.measurement import Measurement, measure_all
from statewise.studies.study import Study
from statewise.studies.threads import threads
from studies.prepared import complain, end_at_once, whose_process

ASKED = Measurement(work=whose_process, settings={"times": 3})


@pytest.fixture
def said():
    return []


def test_it_is_made_in_another_process_with_as_many_threads_and_kept(tmp_path, said):
    found = measure_all([ASKED], tmp_path / "deep", said.append)[ASKED.key]
    assert found.numbers["times"] == 3
    assert found.numbers["process"] != os.getpid()
    assert found.numbers["threads"] == found.machine["threads"] == measurement.torch.get_num_threads()
    assert found.settings == {"times": 3}
    assert said == ["[1/1] measuring times 3"]
    again = measure_all([ASKED], tmp_path / "deep", said.append)[ASKED.key]
    assert again == found
    assert len(said) == 1
    assert [path.name for path in (tmp_path / "deep").iterdir()] == [f"measured-{ASKED.name}.json"]


def test_other_settings_another_machine_or_another_torch_is_another_measurement(monkeypatch):
    assert ASKED.name != dataclasses.replace(ASKED, settings={"times": 4}).name
    assert ASKED.name != dataclasses.replace(ASKED, work=complain).name
    before, key = ASKED.name, ASKED.key
    monkeypatch.setattr(measurement, "machine", lambda: {"processor": "another"})
    assert ASKED.name != before
    assert ASKED.key == key


def test_what_was_measured_on_more_threads_than_it_is_read_on_is_found(tmp_path):
    def read(scale, trained):
        return Findings(
            quantities=(Quantity(name=scale, values=(trained.measured[ASKED.key].numbers["threads"],)),), charts=()
        )

    study = Study(name="a", claim="b", source="c", times={}, read=read, measurements=lambda scale: [ASKED])
    with threads(2):
        assert study.findings("smoke", RunStore(tmp_path), []).quantities[0].values == (2,)


@pytest.mark.parametrize("content", ["{", "[]", '{"settings": {}}', json.dumps({"numbers": 1})])
def test_a_damaged_file_is_measured_again(tmp_path, said, content, monkeypatch):
    monkeypatch.setattr(measurement, "in_a_process", lambda asked: {"times": 7})
    (tmp_path / f"measured-{ASKED.name}.json").write_text(content)
    assert measure_all([ASKED], tmp_path, said.append)[ASKED.key].numbers == {"times": 7}
    assert len(said) == 1


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (complain, "measuring times 3: ValueError: there is no such layer"),
        (end_at_once, "measuring times 3: its process ended before it answered"),
    ],
)
def test_work_that_fails_is_one_line_and_keeps_nothing(tmp_path, said, work, message):
    with pytest.raises(RunError, match=f"^{message}$"):
        measure_all([dataclasses.replace(ASKED, work=work)], tmp_path, said.append)
    assert not list(tmp_path.iterdir())


def test_a_study_reads_its_measurements_by_name(tmp_path, said, monkeypatch):
    monkeypatch.setattr(measurement, "in_a_process", lambda asked: {"times": 7})

    def read(scale, trained):
        return Findings(
            quantities=(Quantity(name=scale, values=(trained.measured[ASKED.key].numbers["times"],)),), charts=()
        )

    study = Study(name="", claim="", source="", times={}, measurements=lambda scale: [ASKED], read=read)
    assert study.runs("small") == []
    for _ in range(2):
        (quantity,) = study.findings("small", RunStore(tmp_path), [], said.append).quantities
        assert (quantity.name, quantity.values) == ("small", (7,))
    assert len(said) == 1
