"""A plan before it is run, and as a file."""

import json
import time
from dataclasses import replace

import pytest
import torch

from statewise.core.errors import UsageError
from statewise.models import ModelConfig
from statewise.runs import RunStore
from statewise.studies import Comparison, cost, run_all
from statewise.studies.cost import Cost, kind_of, makespan, measure_cost, measure_costs
from statewise.studies.dry_run import dry_run
from statewise.studies.executors import Local, Slots
from statewise.studies.executors.one_run import crashed
from statewise.studies.plan_file import read_plan, write_plan


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def everything_below(root):
    return {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in root.rglob("*")}


def test_every_run_is_listed_with_what_is_there_of_it_and_nothing_is_written(store, watcher, make_run):
    runs = [make_run(seed) for seed in range(5)]
    run_all(runs[:2], store, watcher, workers=1)
    (store.root / runs[1].name / "record.json").write_text("{")
    crashed(runs[2], store, "on purpose")
    (store.root / f".partial-{runs[3].name}").mkdir()
    before = everything_below(store.root)
    found = dry_run(runs, store, Local(), workers=2)
    assert everything_below(store.root) == before
    assert [each.run for each in found.planned] == runs
    assert [each.standing for each in found.planned] == ["finished", "damaged", "crashed", "interrupted", "not there"]
    assert [each.seconds is None for each in found.planned] == [True, False, False, False, False]
    assert found.slots == Slots(2, max(1, torch.get_num_threads() // 2))
    assert found.standings["finished"] == 1


def test_a_store_that_is_not_there_is_not_made(store, make_run):
    found = dry_run([make_run()], store, Local(), workers=1)
    assert [each.standing for each in found.planned] == ["not there"]
    assert not store.root.exists()


def test_where_everything_is_finished_nothing_is_measured(store, watcher, make_run, monkeypatch):
    run_all([make_run()], store, watcher, workers=1)
    monkeypatch.setattr(cost, "measure_cost", None)
    found = dry_run([make_run()], store, Local(), workers=1)
    assert (found.kinds, found.work, found.elapsed) == (0, 0, 0)


def test_a_run_that_diverged_is_kept(store, watcher, make_run):
    run = make_run(learning_rate=1e30, steps=200, warmup=0)
    run_all([run], store, watcher, workers=1)
    assert [each.standing for each in dry_run([run], store, Local(), workers=1).planned] == ["diverged"]


def test_runs_that_differ_in_seed_rate_and_budget_are_of_a_kind(make_run):
    run = make_run()
    alike = [make_run(7), make_run(learning_rate=0.5), make_run(steps=999), make_run(time=5.0)]
    others = [
        make_run(batch_size=8),
        make_run(sizes=(8,)),
        replace(run, model=ModelConfig(vocabulary=2, width=8, stack="mingru")),
        replace(run, evaluation=replace(run.evaluation, sizes=(4,))),
    ]
    assert {kind_of(each) for each in alike} == {kind_of(run)}
    assert len({kind_of(each) for each in (run, *others)}) == 5


def test_each_kind_is_measured_once(make_run, monkeypatch):
    measured = []
    monkeypatch.setattr(cost, "measure_cost", lambda run: measured.append(run) or Cost(step=1, validation=1, scores=1))
    costs = measure_costs([make_run(0), make_run(1), make_run(0, batch_size=8)])
    assert len(measured) == len(costs) == 2


def test_what_is_measured_is_what_a_step_and_a_score_take(make_run, monkeypatch):
    """A clock that moves by the tokens that are computed: 1 a token in training, 0.01 in evaluations."""
    now = [0.0]
    forward = cost.initial_model(make_run()).__class__.forward

    def slow(model, tokens, *args, **options):
        now[0] += tokens.numel() * (1.0 if model.training else 0.01)
        return forward(model, tokens, *args, **options)

    monkeypatch.setattr(cost.initial_model(make_run()).__class__, "forward", slow)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    run = make_run(sizes=(4, 8), steps=100, batch_size=4, validation=8, evaluate_every=10)
    found = measure_cost(run)
    tokens = {size: cost.from_identity(run.task).length(size) for size in (4, 8)}
    assert found.step == pytest.approx(4 * (tokens[4] + tokens[8]) / 2)
    assert found.validation == pytest.approx(8 * tokens[8] * 0.01)
    assert found.scores == pytest.approx(2 * 16 * (tokens[4] + tokens[8]) * 0.01)
    assert found.of(run) == pytest.approx(100 * found.step + 10 * found.validation + found.scores)


def test_a_long_evaluation_is_measured_on_one_batch_of_it(make_run, monkeypatch):
    asked = []

    def noted(_model, _task, *, examples, **_options):
        asked.append(examples)
        now[0] += 2.0

    now = [0.0]
    monkeypatch.setattr(cost, "evaluate", noted)
    monkeypatch.setattr(cost, "TOKENS_AT_ONCE", 40)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    run = make_run()
    task = cost.from_identity(run.task)
    batch = 40 // task.length(8)
    seconds = cost.seconds_to_score(None, task, run, 8, 100)
    assert asked == [batch]
    assert seconds == pytest.approx(2.0 * 100 / batch)


def test_a_budget_of_time_is_what_it_says(make_run):
    found = Cost(step=0.5, validation=1.0, scores=3.0)
    assert found.of(make_run(time=100.0, evaluate_every=50)) == 100 + 200 // 50 * 1.0 + 3


def test_runs_share_their_slots_in_order():
    assert makespan([5, 1, 1, 1, 2], 2) == 5
    assert makespan([1, 1, 5], 2) == 6
    assert makespan([1, 2, 3], 1) == 6


def test_the_measurement_uses_the_threads_that_runs_will_have_and_puts_them_back(store, make_run, monkeypatch):
    seen, before = [], torch.get_num_threads()
    monkeypatch.setattr(
        cost, "measure_cost", lambda _run: seen.append(torch.get_num_threads()) or Cost(step=1, validation=1, scores=1)
    )
    try:
        torch.set_num_threads(6)
        found = dry_run([make_run(seed, steps=10) for seed in range(3)], store, Local(), workers=2)
        assert torch.get_num_threads() == 6
    finally:
        torch.set_num_threads(before)
    assert seen == [3]
    assert (found.work, found.elapsed) == (33, 22)


def test_a_plan_survives_its_file(tmp_path):
    runs = Comparison(tasks=("index-lookup", "parity"), constructed=True, learning_rates=(1e-3, 3e-3)).plan()
    write_plan(runs, tmp_path / "plan.json")
    again = read_plan(tmp_path / "plan.json")
    assert again == runs
    assert [run.name for run in again] == [run.name for run in runs]


def edited(path, runs, edit):
    write_plan(runs, path)
    plain = json.loads(path.read_text())
    edit(plain)
    path.write_text(json.dumps(plain))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda plan: plan["runs"][1].update(sed=1), ": runs[1]: RunConfig has no setting 'sed': did you mean seed?"),
        (lambda plan: plan["runs"][0]["training"].update(stpes=1), ": runs[0].training: TrainingConfig has no setting"),
        (lambda plan: plan["runs"][0].pop("model"), ": runs[0]: RunConfig needs the setting 'model', which is missing"),
        (lambda plan: plan["runs"][0].update(seed="1"), ": runs[0].seed is '1'; it must be of type int"),
        (lambda plan: plan["runs"].append(3), ": runs[2] is of type int; it must hold the settings of RunConfig"),
        (lambda plan: plan["runs"][1].update(format=1), ": runs[1].format is 1; it must be 3, as the plan's"),
        (lambda plan: plan.update(format=2), " is a plan of format 2; here it is 3: write the plan again"),
        (
            lambda plan: plan.update(more=1),
            " is not a plan: it must hold `format` and a list of `runs`, and nothing else",
        ),
        (lambda plan: plan.update(runs={}), " is not a plan: it must hold `format` and a list of `runs`"),
    ],
)
def test_a_plan_that_is_none_is_refused_with_the_place(tmp_path, make_run, edit, message):
    path = tmp_path / "plan.json"
    edited(path, [make_run(0), make_run(1)], edit)
    with pytest.raises(UsageError) as caught:
        read_plan(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_plan_or_not_there_is_one_line(tmp_path, make_run):
    path = tmp_path / "plan.json"
    with pytest.raises(UsageError, match=r"there is no plan to read at .*: No such file"):
        read_plan(path)
    path.write_text("{")
    with pytest.raises(UsageError, match="is not a plan, which is JSON"):
        read_plan(path)
    with pytest.raises(UsageError, match=r"the plan cannot be written to .*: No such file"):
        write_plan([make_run()], tmp_path / "none" / "plan.json")
