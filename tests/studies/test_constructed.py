"""Weights that were written down, as runs: beside what is learned, and as a start."""

import pytest
import torch

from statewise.constructions import CONSTRUCTIONS, build
from statewise.core import UsageError
from statewise.core.config import to_plain
from statewise.runs import RunStore
from statewise.runs.record import model_of_run
from statewise.studies import Comparison, constructed, run_all
from statewise.studies.constructed import constructions_for
from statewise.studies.execute import initial_model
from statewise.tasks import TASKS, IndexLookup, Parity


class Silent:
    def begin(self, run):
        pass

    def event(self, run, event):
        pass

    def end(self, run, record, *, skipped):
        pass

    def note(self, text):
        pass


def asked(**settings):
    given = {"tasks": ("parity",), "models": ("mingru",), "sizes": (3, 6), "seeds": (0,), "steps": 2}
    return Comparison(**(given | settings))


def test_every_construction_of_the_task_stands_beside_the_models_and_is_right(tmp_path):
    plan = asked(constructed=True).plan()
    records = run_all(plan, RunStore(tmp_path), Silent(), workers=1)
    names = [model_of_run(record.config) for record in records]
    assert names == ["mingru", "parity/gru for 6", "parity/mingru for 6"]
    for record in records[1:]:
        assert record.training["steps"] == 0
        assert [(result.size, result.sequence_accuracy) for result in record.results] == [(3, 1.0), (6, 1.0)]


def test_constructions_take_the_settings_of_the_task():
    (found, sizes), *_ = constructions_for(IndexLookup(alphabet=5, queries=2), (2, 4))
    assert (found.name, found.task, sizes) == ("index-lookup/attention", IndexLookup(alphabet=5, queries=2), (2, 4))


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_a_construction_of_a_task_that_can_be_asked_for_is_named_by_it(name):
    task = build(name, 6).task
    assert task.name.startswith(name.partition("/")[0]) or task.name not in TASKS


def test_constructions_of_other_tasks_are_not_built(monkeypatch):
    built = []
    monkeypatch.setattr(constructed, "build", lambda name, **given: built.append(name) or build(name, **given))
    constructions_for(Parity(), (4,))
    assert built == ["parity/gru", "parity/mingru"]


def test_a_task_that_none_solves_has_none():
    assert constructions_for(Parity(every_prefix=False), (4,)) == []


def test_training_may_start_from_a_construction(tmp_path):
    (run,) = asked(init="construction:parity/gru", steps=3).plan()
    assert model_of_run({"model": {"stack": "gru"}}) == "gru"
    assert run.title == "parity · parity/gru for 6, trained 3 steps · rate 0.005 · seed 0"
    written = build("parity/gru", 6).model.state_dict()
    assert all(torch.equal(tensor, written[name]) for name, tensor in initial_model(run).state_dict().items())
    (record,) = run_all([run], RunStore(tmp_path), Silent(), workers=1)
    assert record.training["steps"] == 3


def test_noise_is_a_share_of_each_tensor_and_a_function_of_the_seed():
    one, other = asked(init="construction:parity/mingru", noise=0.1, seeds=(0, 1)).plan()
    written = build("parity/mingru", 6).model
    first, second = initial_model(one), initial_model(other)
    for before, noisy, again in zip(written.parameters(), first.parameters(), second.parameters(), strict=True):
        scale = before.square().mean().sqrt()
        assert (noisy - before).square().mean().sqrt() <= 0.1 * 4 * scale
        assert torch.equal(noisy, before) == bool(scale == 0)
        assert torch.equal(noisy, again) == bool(scale == 0)
    repeated = initial_model(one).state_dict()
    assert all(torch.equal(tensor, repeated[name]) for name, tensor in first.state_dict().items())


def test_weights_are_rounded_to_the_dtype_that_is_named():
    (run,) = asked(init="construction:parity/mingru", rounding="bfloat16", steps=0).plan()
    written = build("parity/mingru", 6).model
    for before, after in zip(written.parameters(), initial_model(run).parameters(), strict=True):
        assert after.dtype == before.dtype
        assert torch.equal(after, before.bfloat16().to(before.dtype))
    assert model_of_run(to_plain(run)) == "parity/mingru for 6, in bfloat16"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"init": "parity/gru"}, "init is 'parity/gru'; it must be construction:NAME"),
        ({"init": "construction:parity/gruu"}, "unknown construction 'parity/gruu': did you mean parity/gru"),
        (
            {"init": "construction:index-lookup/attention"},
            r"init: index-lookup/attention solves IndexLookup\(.*\), not",
        ),
        ({"init": "construction:parity/gru", "noise": -1.0}, "noise is -1.0; it must be at least 0"),
        ({"init": "construction:parity/gru", "rounding": "int8"}, "unknown rounding 'int8'"),
        ({"noise": 0.1}, "noise is 0.1 and rounding is None, which go on the weights of init, and none is named"),
        ({"rounding": "float16"}, "noise is 0.0 and rounding is float16, which go on the weights of init, and none"),
        ({"steps": 0}, "steps is 0, which trains nothing; it must be at least 1, unless init is named"),
    ],
)
def test_what_cannot_be_started_from_is_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        asked(**settings).plan()
