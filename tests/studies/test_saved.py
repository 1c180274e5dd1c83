import pytest
import torch

import statewise
from statewise.core import RunError, UsageError
from statewise.models import LanguageModel
from statewise.runs import RunStore
from statewise.studies import SavedRun, run_all


@pytest.fixture
def run_folder(tmp_path, watcher, make_run):
    store = RunStore(tmp_path)
    run = make_run()
    run_all([run], store, watcher, workers=1)
    return store.root / run.name, run


def test_a_run_folder_opens_with_its_model(run_folder):
    folder, run = run_folder
    saved = statewise.load(folder)
    assert isinstance(saved, SavedRun)
    assert saved.config == run
    assert saved.record.status == "finished"
    logits, _ = saved.model(torch.tensor([[0, 1, 1]]))
    assert logits.shape == (1, 3, 2)


def test_a_model_file_opens_as_a_model(run_folder):
    folder, run = run_folder
    model = statewise.load(str(folder / "model.safetensors"))
    assert isinstance(model, LanguageModel)
    assert model.config == run.model


def test_what_is_not_there_or_not_a_run_is_refused(run_folder, tmp_path):
    folder, _ = run_folder
    with pytest.raises(UsageError, match=r"there is nothing at absent: name a run folder or a \.safetensors file"):
        statewise.load("absent")
    with pytest.raises(RunError, match=f"it is not a run folder; the runs in it are {folder.name}"):
        statewise.load(tmp_path)
