"""statewise convert: every source that is known, to what it can be; and one line for the others."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, MambaConfig, MambaForCausalLM
from transformers.utils import logging

import statewise as sw
import statewise.hf
from statewise.cli import main
from statewise.models import LanguageModel, load_model, load_rwkv, save_model

RWKV = Path(__file__).parents[3] / "shared/data/rwkv-tiny"


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable_progress_bar()


@pytest.fixture
def mamba(tmp_path):
    torch.manual_seed(0)
    config = MambaConfig(vocab_size=11, hidden_size=8, num_hidden_layers=1, state_size=3, eos_token_id=4)
    MambaForCausalLM(config).save_pretrained(tmp_path / "mamba")
    (tmp_path / "mamba" / "tokenizer.json").write_text("{}")
    return tmp_path / "mamba"


def logits(model):
    read = torch.arange(9)[None]
    with torch.no_grad():
        output = model.eval()(read)
    return output[0] if isinstance(output, tuple) else output.logits


def test_theirs_to_ours_to_a_native_file_and_to_theirs_again(mamba, tmp_path, capsys):
    assert main(["convert", str(mamba), str(tmp_path / "ours")]) == 0
    assert "parameters, stack mamba" in capsys.readouterr().out
    assert main(["convert", str(tmp_path / "ours"), str(tmp_path / "native"), "--to", "native"]) == 0
    native = tmp_path / "native" / "model.safetensors"
    assert main(["convert", str(native), str(tmp_path / "back"), "--to", "mamba", "--dtype", "float32"]) == 0
    theirs = AutoModelForCausalLM.from_pretrained(mamba)
    for other in (
        AutoModelForCausalLM.from_pretrained(tmp_path / "ours"),
        sw.load(native),
        AutoModelForCausalLM.from_pretrained(tmp_path / "back"),
    ):
        assert (logits(other) - logits(theirs)).abs().max() < 1e-5
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "ours").config.eos_token_id == 4
    assert (tmp_path / "ours" / "tokenizer.json").read_text() == "{}"
    assert not list(tmp_path.glob("*half*"))


def test_no_bars_are_drawn_into_a_pipe(mamba, tmp_path, capsys):
    logging.enable_progress_bar()
    assert main(["convert", str(mamba), str(tmp_path / "ours")]) == 0
    assert capsys.readouterr().err == ""


def test_a_dtype_that_is_asked_for_is_written(mamba, tmp_path):
    assert main(["convert", str(mamba), str(tmp_path / "half"), "--dtype", "bfloat16"]) == 0
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "half").dtype == torch.bfloat16


def test_a_run_of_ours_becomes_a_folder(tmp_path):
    save_model(LanguageModel(vocabulary=11, width=8), tmp_path / "model.safetensors")
    assert main(["convert", str(tmp_path / "model.safetensors"), str(tmp_path / "folder")]) == 0
    expected = logits(load_model(tmp_path / "model.safetensors"))
    assert (logits(AutoModelForCausalLM.from_pretrained(tmp_path / "folder")) - expected).abs().max() < 1e-6


@pytest.mark.skipif(not RWKV.exists(), reason="the trained RWKV models are not in this checkout")
@pytest.mark.parametrize("version", ["4v0-660K", "7v0-834K"])
def test_rwkv_becomes_a_folder(version, tmp_path):
    file = RWKV / f"tiny-rwkv-{version}-FP32.bin"
    assert main(["convert", str(file), str(tmp_path / "folder")]) == 0
    ours, again = load_rwkv(file), AutoModelForCausalLM.from_pretrained(tmp_path / "folder")
    assert (logits(again) - logits(ours)).abs().max() < 1e-5
    prompt = torch.tensor([list(b"He found a small")])
    expected = [token.item() for token in ours.generate(prompt, 10, temperature=0)]
    assert again.generate(prompt, max_new_tokens=10, do_sample=False)[0, prompt.shape[1] :].tolist() == expected


@pytest.mark.skipif(not RWKV.exists(), reason="the trained RWKV models are not in this checkout")
def test_a_version_of_rwkv_that_ours_has_not_says_so(tmp_path, capsys):
    assert main(["convert", str(RWKV / "tiny-rwkv-5v2-730K-FP32.bin"), str(tmp_path / "folder")]) == 2
    assert "it must be RWKV4 or RWKV7" in capsys.readouterr().err


def with_a_pickle(folder):
    torch.save({"a": torch.zeros(1)}, folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def with_a_pickled_folder(folder):
    (folder / "config.json").write_text('{"model_type": "mamba"}')
    with_a_pickle(folder)
    return folder


def ours(folder, **changed):
    """A folder of ours with its configuration changed."""
    statewise.hf.save(LanguageModel(vocabulary=11, width=8), folder / "ours")
    config = json.loads((folder / "ours/config.json").read_text())
    (folder / "ours/config.json").write_text(json.dumps(config | changed))
    return folder / "ours"


def with_weights(write):
    """What makes a folder of ours whose model.safetensors was written by `write`."""

    def make(folder):
        write(ours(folder) / "model.safetensors")
        return folder / "ours"

    return make


def with_a_torn_configuration(folder):
    (ours(folder) / "config.json").write_text("{")
    return folder / "ours"


def with_another_tokenizer(folder):
    vocabulary = {str(number): number for number in range(12)}
    (ours(folder) / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}, "added_tokens": []}))
    return folder / "ours"


def with_a_shard_too_few(folder):
    (ours(folder) / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00002-of-00002.safetensors"}}
    (folder / "ours/model.safetensors.index.json").write_text(json.dumps(index))
    return folder / "ours"


BAD = {
    "nothing there": (lambda folder: folder / "absent", [], "there is nothing at", "nothing is downloaded"),
    "pickle": (with_a_pickle, [], "is a pickle, which can run any program when it is read", "safetensors"),
    "pickled folder": (with_a_pickled_folder, [], "is a pickle, which can run any program when it is read", "safeten"),
    "format": (lambda folder: folder, ["--to", "gguf"], "unknown format 'gguf'", ""),
    "other file": (lambda folder: Path(__file__), [], "is not a model of rwkv.cpp", ""),
    "pickle by another name": (
        with_weights(lambda path: torch.save({}, path)),
        [],
        "model.safetensors is a pickle, which can run any program",
    ),
    "configuration": (with_a_torn_configuration, [], "config.json does not say what model it is of"),
    "width": (lambda folder: ours(folder, width="x"), [], "ours/config.json does not describe a model", "width is 'x'"),
    "stack": (lambda folder: ours(folder, stack="x"), [], "ours/config.json does not describe a model", "model 'x'"),
    "architecture": (lambda folder: ours(folder, model_type="x"), [], "unknown architecture 'x': there are mamba"),
    "tokenizer": (with_another_tokenizer, [], "the tokenizer has 12 tokens and the model's vocabulary is 11"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_one_line_and_leaves_nothing(case, tmp_path, capsys):
    make, options, *parts = BAD[case]
    assert main(["convert", str(make(tmp_path)), str(tmp_path / "out"), *options]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in parts)
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


TORN = {
    "torn": (with_weights(lambda path: path.write_bytes(path.read_bytes()[:99])), "model.safetensors cannot be read"),
    "empty": (with_weights(lambda path: path.write_bytes(b"")), "model.safetensors cannot be read"),
    "shard": (with_a_shard_too_few, "model-00002-of-00002.safetensors is not there"),
}


@pytest.mark.parametrize("case", TORN)
def test_a_checkpoint_that_is_not_whole_is_one_line_and_leaves_nothing(case, tmp_path, capsys):
    make, message = TORN[case]
    assert main(["convert", str(make(tmp_path)), str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert f"ours does not hold a whole checkpoint: {message}" in said
    assert "copy or download it again" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_destination_that_is_there_is_left_alone(mamba, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    assert main(["convert", str(mamba), str(tmp_path / "out")]) == 2
    assert "is there already; name a folder that is not, or an empty one" in capsys.readouterr().err
    assert (tmp_path / "out" / "mine").read_text() == "kept"


def test_a_stack_that_is_none_of_theirs_says_what_differs(tmp_path, capsys):
    save_model(LanguageModel(vocabulary=11, width=8), tmp_path / "model.safetensors")
    arguments = ["convert", str(tmp_path / "model.safetensors"), str(tmp_path / "out"), "--to", "mamba"]
    assert main(arguments) == 2
    assert "a mamba model has layers of mamba alone; this stack, 'mingru', has mingru" in capsys.readouterr().err
