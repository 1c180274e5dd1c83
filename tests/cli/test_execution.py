"""Plans as a user types them: printed, kept, run by another command, and refused."""

import sys

import pytest

from statewise.cli import main
from statewise.runs import RunStore
from statewise.studies.executors import Ray
from studies.fake_ray import FakeRay


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def quick(runs):
    asked = ["parity", "--models", "mingru", "--steps", "3", "--batch-size", "4", "--sizes", "4", "--no-page"]
    return ["compare", *asked, "--seeds", "0", "1", "--output", str(runs)]


def test_a_dry_run_prints_the_runs_and_their_cost_and_leaves_nothing(runs, quick, capsys):
    assert main([*quick, "--dry-run", "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert said.count("not there") == 3
    assert "parity · mingru · rate 0.005 · seed 1" in said
    assert "2 runs: 2 not there" in said
    assert " with 1 run at a time on " in said
    assert "Measured on 3 steps and a batch of each evaluation for 1 kind of run" in said
    assert not runs.exists()


def test_a_dry_run_says_what_is_there(runs, quick, capsys):
    assert main([*quick, "--workers", "1"]) == 0
    capsys.readouterr()
    assert main([*quick, "--dry-run"]) == 0
    assert "2 runs: 2 finished. Nothing is left to run." in capsys.readouterr().out


def test_a_plan_is_kept_run_by_another_command_and_found_finished_by_its_own(tmp_path, runs, quick, capsys):
    plan = tmp_path / "plan.json"
    assert main([*quick, "--dry-run", "--save-plan", str(plan)]) == 0
    assert f"statewise run {plan}" in capsys.readouterr().out
    run = ["run", str(plan), "--output", str(runs), "--workers", "1"]
    assert main([*run, "--dry-run"]) == 0
    assert "2 runs: 2 not there" in capsys.readouterr().out
    assert main(run) == 0
    assert capsys.readouterr().out == f"2 runs in {runs}: 2 finished\n"
    assert main(quick) == 0
    said = capsys.readouterr()
    assert said.err.count("finished earlier, kept") == 2
    assert "Verdict" in said.out


def test_a_study_is_previewed(tmp_path, capsys):
    assert (
        main(["reproduce", "gated-rnn-icl", "--scale", "smoke", "--dry-run", "--output", str(tmp_path / "runs")]) == 0
    )
    assert "Expected: " in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_ray_is_asked_for_with_what_was_typed(runs, quick, capsys, monkeypatch):
    ray = FakeRay(nodes=[{"CPU": 8.0, "GPU": 1.0}])
    monkeypatch.setitem(sys.modules, "ray", ray)
    asked = [*quick, "--executor", "ray", "--cpus-per-run", "1", "--gpus-per-run", "0.5", "--workers", "2"]
    assert main([*asked, "--dry-run"]) == 0
    assert ray.sessions == []
    assert main(asked) == 0
    assert ray.requests == [{"max_retries": 0, "num_cpus": 1, "num_gpus": 0.5}]
    assert [record.status for record in RunStore(runs).records()] == ["finished", "finished"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--executor", "rey"], "unknown executor 'rey': did you mean ray?"),
        (["--address", "head:6379"], "compare: address is head:6379, which goes with --executor ray"),
        (["--cpus-per-run", "2"], "compare: cpus_per_run is 2, which goes with --executor ray"),
        (["--executor", "ray", "--cpus-per-run", "0"], "ray: cpus_per_run is 0; it must be at least 1"),
        (["--executor", "ray", "--address", "head"], "ray: address is 'head'; it must be HOST:PORT"),
        (["--save-plan", "plan.json"], "compare: save_plan is plan.json; it goes with --dry-run"),
        (["--dry-run", "--find-limit", "0.9"], "compare: find_limit has no plan to print"),
        (["--workers", "0"], "compare: workers is 0; it must be at least 1"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_status_2(runs, quick, capsys, more, message):
    assert main([*quick, *more]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"statewise: {message}")
    assert said.count("\n") == 1
    assert not runs.exists()


def test_ray_that_is_absent_is_named_with_its_extra(quick, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*quick, "--executor", "ray"]) == 2
    assert "the executor ray needs ray, which is not installed: pip install 'statewise[ray]'" in capsys.readouterr().err


def test_settings_of_ray_have_their_defaults():
    assert Ray() == Ray(address=None, cpus=1, gpus=0.0, retries=3)
