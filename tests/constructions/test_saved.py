import pytest
import torch

import statewise
from statewise.constructions import build, load_construction, save
from statewise.core import RunError

NAME = "index-lookup/attention"


def test_what_was_saved_is_loaded_with_the_weights_of_the_folder(tmp_path):
    construction = build(NAME, 3, alphabet=2)
    with torch.no_grad():
        construction.model.head.weight.neg_()
    loaded = statewise.load(save(construction, tmp_path / "kept"))
    assert loaded.arguments == {"size": 3, "alphabet": 2}
    assert (loaded.name, loaded.task) == (NAME, construction.task)
    assert loaded.verify().mistakes == 24
    assert isinstance(statewise.load(tmp_path / "kept" / "model.safetensors"), statewise.LanguageModel)


def test_saving_again_replaces_what_was_there(tmp_path):
    save(build(NAME, 3), tmp_path)
    save(build(NAME, 5, alphabet=4), tmp_path)
    assert load_construction(tmp_path).sizes == (1, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["construction.json", "model.safetensors"]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"holds no construction.json, so no construction was saved there"):
        load_construction(tmp_path)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"name": "index-lookup/attention"}', '{"name": "x", "arguments": {"size": 3}}', "\\xff"]
)
def test_a_damaged_description_is_refused(tmp_path, text):
    save(build(NAME, 3), tmp_path)
    (tmp_path / "construction.json").write_text(text)
    with pytest.raises(RunError, match=r"construction.json does not describe a construction: "):
        load_construction(tmp_path)


def test_damaged_weights_are_refused(tmp_path):
    save(build(NAME, 3), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(RunError, match=r"model.safetensors does not hold a whole model"):
        load_construction(tmp_path)
