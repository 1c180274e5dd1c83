import pytest
import torch
from safetensors.torch import save_file

from statewise.core import RunError
from statewise.core.config import canonical
from statewise.core.random import seeded
from statewise.models import LanguageModel, load_model, save_model


@pytest.fixture
def saved(tmp_path):
    with seeded(0):
        model = LanguageModel(vocabulary=7, width=6, stack="mingru+attention", positions="learned", max_length=9)
    save_model(model, tmp_path / "model.safetensors")
    return model, tmp_path / "model.safetensors"


def test_a_model_comes_back_as_it_was(saved):
    model, path = saved
    loaded = load_model(path)
    assert loaded.config == model.config
    tokens = torch.arange(7)[None]
    assert torch.equal(loaded(tokens)[0], model(tokens)[0])
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_a_torn_file_is_refused(saved):
    _, path = saved
    content = path.read_bytes()
    for length in (0, 4, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(RunError, match="does not hold a whole model"):
            load_model(path)


def test_a_missing_or_foreign_file_is_refused(tmp_path):
    with pytest.raises(RunError, match="there is no model file"):
        load_model(tmp_path / "absent.safetensors")
    save_file({"weight": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(RunError, match="without the configuration of a statewise model"):
        load_model(tmp_path / "foreign.safetensors")


def test_weights_that_do_not_fit_the_configuration_are_refused(saved, tmp_path):
    model, _ = saved
    metadata = {"statewise.model": '{"vocabulary": 7, "width": 8}'}
    save_file(model.state_dict(), tmp_path / "other.safetensors", metadata=metadata)
    with pytest.raises(RunError, match="does not hold a whole model"):
        load_model(tmp_path / "other.safetensors")


def test_a_tensor_too_few_or_too_many_is_refused(saved, tmp_path):
    model, _ = saved
    metadata = {"statewise.model": canonical(model.config)}
    whole = model.state_dict()
    for weights, said in (
        ({name: tensor for name, tensor in whole.items() if name != "norm.weight"}, "lacks 1: norm.weight"),
        ({**whole, "extra.weight": torch.zeros(1)}, "has too many by 1: extra.weight"),
    ):
        save_file(weights, tmp_path / "other.safetensors", metadata=metadata)
        with pytest.raises(
            RunError, match=f"does not hold a whole model: of {len(whole)} tensors it {said}; copy or save it again$"
        ):
            load_model(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tensor: torch.zeros(3, 2),
            r"norm.weight is \(3, 2\) of torch.float32; .* needs \(6,\) of torch.float32",
        ),
        (lambda tensor: tensor.long(), r"norm.weight is \(6,\) of torch.int64; .* needs \(6,\) of torch.float32"),
    ],
)
def test_a_tensor_of_another_shape_or_kind_is_named_in_one_line(saved, tmp_path, change, message):
    model, _ = saved
    weights = model.state_dict()
    weights["norm.weight"] = change(weights["norm.weight"])
    save_file(weights, tmp_path / "other.safetensors", metadata={"statewise.model": canonical(model.config)})
    with pytest.raises(RunError, match=f"does not hold a whole model: {message}; copy or save it again$") as caught:
        load_model(tmp_path / "other.safetensors")
    assert "\n" not in str(caught.value)


def test_other_precisions_are_the_same_kind(saved, tmp_path):
    model, _ = saved
    weights = {name: tensor.half() for name, tensor in model.state_dict().items()}
    save_file(weights, tmp_path / "half.safetensors", metadata={"statewise.model": canonical(model.config)})
    assert {parameter.dtype for parameter in load_model(tmp_path / "half.safetensors").parameters()} == {torch.float16}


def test_a_pickle_is_refused_unread_and_so_is_a_folder(saved):
    _, path = saved
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(
        RunError, match=r"model.safetensors is a pickle, .* when it is read; save the model with safete"
    ):
        load_model(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(RunError, match="does not hold a whole model"):
        load_model(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "does not hold a whole model: Expecting property name"),
        ("[]", "does not describe a model: .* is of type list"),
        ('{"vocabulary": 7, "colour": 3}', "does not describe a model: .* has no setting 'colour'"),
        ('{"vocabulary": 7, "stack": "leaky"}', "does not describe a model: unknown model 'leaky'"),
    ],
)
def test_a_configuration_of_no_model_is_refused(saved, tmp_path, text, message):
    model, _ = saved
    save_file(model.state_dict(), tmp_path / "other.safetensors", metadata={"statewise.model": text})
    with pytest.raises(RunError, match=f"other.safetensors {message}"):
        load_model(tmp_path / "other.safetensors")
