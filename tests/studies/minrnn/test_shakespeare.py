"""What the study of language models reads off records that are made up, what it plans, and what it asks for."""

import pytest

from statewise.core.errors import UsageError
from statewise.models import build_model
from statewise.report.study import verdict_of
from statewise.studies.minrnn import shakespeare
from statewise.studies.minrnn.shakespeare import STUDY, study_of


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "input.txt"
    path.write_text("To be, or not to be: that is the question.\n" * 800)
    return str(path)


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_without_a_file_it_says_which_and_how(scale):
    for ask in (lambda: STUDY.runs(scale), lambda: STUDY.read(scale, None)):
        with pytest.raises(UsageError, match=r"none is named; .*tinyshakespeare .*--file input.txt$") as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_at_smoke_any_text_will_do():
    assert {run.task["file"] for run in STUDY.runs("smoke")} == {None}


def test_the_least_loss_on_the_way_is_compared_and_its_step(bench, corpus, monkeypatch):
    monkeypatch.setattr(shakespeare, "corpus_digest", lambda file: shakespeare.CORPUS)
    for run in shakespeare.runs_of("paper", corpus, "mingru"):
        curve = ((25, 2.5, 0.3), (600, 1.55, 0.5), (5000, 2.0, 0.5))
        bench.finish(run, loss=2.1, curve=curve)
    findings = study_of(corpus).read("paper", bench.trained())
    found = {quantity.name: quantity for quantity in findings.quantities}
    assert found["least loss on the way, minGRU"].values == (1.55,) * 3
    assert verdict_of(found["least loss on the way, minGRU"]) == "agrees"
    assert (found["step of the least loss, minGRU"].values[0], found["step of the least loss, Mamba"].values) == (
        600,
        (),
    )
    assert found["test loss after the last step, minGRU"].values == (2.1,) * 3
    assert found["least loss on the way, Transformer"].published.value == 1.547
    (chart,) = findings.charts
    assert {curve.label: curve.points for curve in chart.curves}["minGRU"][1] == (600, (1.55,) * 3)


@pytest.mark.parametrize(("scale", "why"), [("small", "a smaller model"), ("paper", "another corpus than the paper's")])
def test_a_smaller_model_or_another_corpus_is_not_compared(scale, why, bench, corpus, monkeypatch):
    if scale == "small":
        monkeypatch.setattr(shakespeare, "corpus_digest", lambda file: shakespeare.CORPUS)
    for quantity in study_of(corpus).read(scale, bench.trained()).quantities:
        assert why in quantity.incomparable


def test_the_published_settings_stand_at_paper(corpus):
    runs = {run.model.stack: run for run in study_of(corpus).runs("paper") if run.seed == 0}
    assert set(runs) == {f"{mixer}*3" for mixer in ("mingru", "minlstm", "mamba", "attention")}
    for run in runs.values():
        assert (run.training.steps, run.training.evaluate_every, run.training.batch_size) == (5000, 25, 64)
        assert (run.training.learning_rate, run.training.clip, run.training.solved_at) == (1e-3, 0.25, None)
        assert (run.model.width, run.model.dropout, run.training.sizes) == (384, 0.2, (256,))
        assert (run.task["name"], run.task["file"]) == ("text", corpus)
    first = {stack: build_model(run.model).blocks[0] for stack, run in runs.items()}
    assert (first["mingru*3"].mixer.units, first["mingru*3"].conv.taps) == (2 * 384, 4)
    assert (first["mamba*3"].mixer.state_size, first["mamba*3"].mixer.channels) == (16, 2 * 384)
    assert first["mamba*3"].conv is None
    assert first["attention*3"].mixer.head_size * 6 == 384


def test_its_runs_are_those_of_the_preset_at_small(corpus):
    (run,) = [run for run in study_of(corpus).runs("small") if run.model.stack == "mingru*3"]
    preset = shakespeare.PRESET
    assert (run.model.width, run.model.conv, run.model.expansion) == (preset.width, preset.conv, preset.expansion)
    assert (run.training.batch_size, run.training.weight_decay) == (preset.batch_size, preset.weight_decay)
