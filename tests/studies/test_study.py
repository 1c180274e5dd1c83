import pytest

from statewise.core.errors import UsageError
from statewise.core.events import Evaluated
from statewise.runs import Record, RunStore
from statewise.studies import run_all
from statewise.studies.catalogue import STUDIES
from statewise.studies.study import SCALES, Trained

TRAINING = [name for name, study in STUDIES.items() if study.runs("smoke")]
"""Those that train something; the others measure or count."""


@pytest.fixture
def study_of(tmp_path):
    """A study by its name, with a corpus where it reads one."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("To be, or not to be:\tthat is the question.\n" * 800)

    def named(name):
        study = STUDIES[name]
        return study if study.with_corpus is None else study.of_corpus(str(corpus))

    return named


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_plans_different_runs_at_every_scale(name, study_of):
    # Texts of configurations, not their digests: grids of papers have thousands.
    planned = {scale: [repr(run) for run in study_of(name).runs(scale)] for scale in SCALES}
    assert all(len(set(runs)) == len(runs) for runs in planned.values())
    assert len(planned["smoke"]) <= len(planned["small"]) <= len(planned["paper"])
    assert not set(planned["smoke"]) & set(planned["small"])


@pytest.mark.parametrize("name", [name for name in TRAINING if not STUDIES[name].one_seed])
def test_small_and_paper_have_seeds_enough_for_an_interval(name):
    for scale in ("small", "paper"):
        assert len({run.seed for run in STUDIES[name].runs(scale)}) >= 3


def test_only_the_long_studies_have_one_seed():
    long = {"istree", "minrnn-shakespeare", "translation-bridges"}
    assert {name for name, study in STUDIES.items() if study.one_seed} == long


@pytest.mark.parametrize("name", TRAINING)
def test_findings_of_runs_none_of_which_finished_have_no_values(name, tmp_path, study_of):
    findings = study_of(name).findings("small", RunStore(tmp_path), [])
    assert findings.quantities
    assert all(quantity.values == () for quantity in findings.quantities)


def test_a_file_that_is_not_read_is_refused():
    with pytest.raises(UsageError, match=r"reproduce: file is a\.txt, which istree does not read; leave it out"):
        STUDIES["istree"].of_corpus("a.txt")


def test_what_a_run_said_on_its_way_is_read_again(tmp_path, watcher, make_run):
    store, run = RunStore(tmp_path), make_run(steps=4, evaluate_every=2)
    trained = Trained(store, run_all([run], store, watcher, workers=1))
    said = [event for _, event in watcher.events if isinstance(event, Evaluated)]
    assert [event.step for event in said] == [2, 4]
    assert trained.evaluations(run) == said
    assert trained.evaluations(make_run(seed=1)) == []


def test_a_scale_that_is_not_one_is_refused():
    with pytest.raises(UsageError, match="unknown scale 'smal': did you mean small"):
        next(iter(STUDIES.values())).runs("smal")


def test_runs_are_taken_from_the_store_and_missing_ones_are_named(tmp_path, watcher, make_run):
    store, run = RunStore(tmp_path), make_run()
    records = run_all([run], store, watcher, workers=1)
    lost = Record(config={"seed": 7}, status="crashed", because="its process ended")
    trained = Trained(store, [*records, lost])
    assert trained.finished([run, make_run(seed=1)]) == [run]
    assert trained.record(run) == records[0]
    assert trained.model(run).config == run.model
    (line,) = trained.missing()
    assert line == f"{lost.name} crashed, and is left out: its process ended"
