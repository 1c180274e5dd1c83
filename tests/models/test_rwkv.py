"""Trained RWKV models: the logits that rwkv.cpp gives, the forms that agree, and files that are refused."""

import struct
from pathlib import Path

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from statewise.core.random import seeded
from statewise.core.state import leaves
from statewise.mixers.first_value import FirstValue
from statewise.models import LanguageModel, load_model, load_rwkv, save_model
from statewise.models.rwkv_file import read_rwkv_file
from statewise.testing import assert_close

FOLDER = Path(__file__).parents[3] / "shared/data/rwkv-tiny"
VERSIONS = ["4v0-660K", "7v0-834K"]
PROMPT = b'"in'

trained = pytest.mark.skipif(not FOLDER.exists(), reason="the trained RWKV models are not in this checkout")


def path_of(version):
    return FOLDER / f"tiny-rwkv-{version}-FP32.bin"


def reading(*texts):
    return torch.tensor([list(text) for text in texts])


@trained
@pytest.mark.parametrize("version", VERSIONS)
def test_logits_after_the_prompt_are_those_of_rwkv_cpp(version):
    content = (FOLDER / f"expected-logits-{version}.bin").read_bytes()
    expected = torch.frombuffer(bytearray(content), dtype=torch.float32)
    model = load_rwkv(path_of(version))
    with torch.no_grad():
        logits, _ = model(reading(PROMPT))
        state = model.initial_state(1)
        for token in PROMPT:
            step, state = model.step(torch.tensor([token]), state)
    assert (logits[0, -1] - expected).abs().max() < 1e-5
    assert (step[0] - expected).abs().max() < 1e-5


@trained
@pytest.mark.parametrize("version", VERSIONS)
def test_a_trained_model_is_the_same_in_parallel_and_token_by_token(version):
    model, text = load_rwkv(path_of(version)), reading(b"He found a small pie", b"in the house, and it")
    with torch.no_grad():
        logits, final = model(text)
        left, state = model(text[:, :7])
        steps = []
        for t in range(7, text.shape[1]):
            step, state = model.step(text[:, t], state)
            steps.append(step)
    assert_close("logits", torch.cat([left, torch.stack(steps, 1)], 1), logits)
    for one, other in zip(leaves(state), leaves(final), strict=True):
        assert_close("final", one, other)


@trained
@pytest.mark.parametrize("version", VERSIONS)
def test_a_trained_model_generates_what_it_scores_highest(version):
    model, prompt = load_rwkv(path_of(version)), reading(PROMPT)
    generated = torch.stack(list(model.generate(prompt, 12, temperature=0)), 1)
    with torch.no_grad():
        logits, _ = model(torch.cat([prompt, generated], 1))
    assert torch.equal(logits[:, 2:-1].argmax(-1), generated)


@trained
@pytest.mark.parametrize("version", VERSIONS)
def test_a_trained_model_is_saved_and_trained_like_any_other(version, tmp_path):
    model, text = load_rwkv(path_of(version)), reading(b"in the house")
    save_model(model, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    assert again.config == model.config
    assert torch.equal(again(text)[0], model(text)[0])
    model(text)[0].square().sum().backward()
    unused = {name for name, weight in model.named_parameters() if weight.grad is None}
    assert unused == {name for name in unused if name.startswith("blocks.0.mixer.value_share.")}
    assert all(bool(weight.grad.isfinite().all()) for weight in model.parameters() if weight.grad is not None)


@trained
@pytest.mark.parametrize("version", ["5v1-730K", "5v2-730K"])
def test_another_version_is_refused_by_name(version):
    with pytest.raises(ValueError, match="is an RWKV5 model; it must be RWKV4 or RWKV7"):
        load_rwkv(path_of(version))


@trained
def test_a_trained_file_cut_anywhere_is_refused(tmp_path):
    content = path_of("7v0-834K").read_bytes()
    for length in (0, 3, 23, 24, 30, 40, 60, 5000, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.bin").write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"cut.bin (is cut short|is of no version|says that it has 12 layers)"):
            load_rwkv(tmp_path / "cut.bin")


@pytest.fixture
def stacked():
    """Two untrained RWKV-7 blocks whose values reach upwards, and tokens."""
    with seeded(0):
        model = LanguageModel(vocabulary=11, width=6, stack="rwkv7", depth=2, norm="layer", feed_forward_kind="rwkv7")
    return model, torch.arange(11)[None]


def test_shared_values_survive_compilation(stacked):
    model, tokens = stacked
    compiled = torch.compile(model.step, fullgraph=True, backend="aot_eager")
    state = model.initial_state(1)
    with torch.no_grad():
        assert_close("logits", compiled(tokens[:, 0], state)[0], model.step(tokens[:, 0], state)[0])


def test_shared_values_survive_activation_checkpointing(stacked):
    model, tokens = stacked
    expected = torch.autograd.grad(model(tokens)[0].sum(), model.embedding.weight)
    x, shared = model.embedding(tokens), FirstValue()
    for block, state in zip(model.blocks, model.initial_state(1).blocks, strict=True):
        x, _ = checkpoint(block, x, state, first_value=shared, use_reentrant=False)
    logits = model.head(model.norm(x))
    assert_close("gradient", *torch.autograd.grad(logits.sum(), model.embedding.weight), *expected)


def header(*, magic=0x67676D66, version=101, vocabulary=5, width=4, layers=1):
    return struct.pack("<6i", magic, version, vocabulary, width, layers, 0)


def packed(name, values, *, kind=0):
    """A tensor as the file holds it."""
    raw = name.encode()
    values = values.to({0: torch.float32, 1: torch.float16}.get(kind, torch.float32))
    head = struct.pack(f"<3i{values.ndim}i", values.ndim, len(raw), kind, *reversed(values.shape))
    return head + raw + values.numpy().tobytes()


def rwkv4_tensors(**changed):
    """Every tensor of a small RWKV-4 model; `changed` ones replaced, or left out where None."""
    generator = torch.Generator().manual_seed(0)
    vector, square = (4,), (4, 4)
    shapes = {"emb.weight": (5, 4), "head.weight": (5, 4), "ln_out.weight": vector, "ln_out.bias": vector}
    inside = {f"{norm}.{part}": vector for norm in ("ln0", "ln1", "ln2") for part in ("weight", "bias")}
    vectors = ("time_mix_k", "time_mix_v", "time_mix_r", "time_decay", "time_first")
    inside |= {f"att.{name}": vector for name in vectors}
    inside |= {f"att.{name}.weight": square for name in ("key", "value", "receptance", "output")}
    inside |= {"ffn.time_mix_k": vector, "ffn.time_mix_r": vector, "ffn.receptance.weight": square}
    inside |= {"ffn.key.weight": (12, 4), "ffn.value.weight": (4, 12)}
    shapes |= {f"blocks.0.{name}": shape for name, shape in inside.items()}
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    tensors["blocks.0.att.time_decay"] = -tensors["blocks.0.att.time_decay"].exp()
    return {name: tensor for name, tensor in (tensors | changed).items() if tensor is not None}


def written(path, tensors, *, kind=0, **settings):
    path.write_bytes(header(**settings) + b"".join(packed(name, each, kind=kind) for name, each in tensors.items()))
    return path


def test_a_small_file_becomes_the_model_that_it_says(tmp_path):
    tensors = rwkv4_tensors()
    model = load_rwkv(written(tmp_path / "small.bin", tensors))
    assert isinstance(model, LanguageModel)
    assert (model.config.stack, model.config.depth, model.config.feed_forward) == ("rwkv4", 1, 3)
    assert torch.equal(model.blocks[0].feed_forward.output.weight, tensors["blocks.0.ffn.value.weight"])
    assert_close("decay", -model.blocks[0].mixer.log_decay.exp(), tensors["blocks.0.att.time_decay"])
    half = load_rwkv(written(tmp_path / "half.bin", tensors, kind=1))
    assert torch.equal(half.head.weight, tensors["head.weight"].half().float())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"magic": 0x46554747}, "is not a model of rwkv.cpp: it starts with 0x46554747, not 0x67676d66"),
        ({"magic": -1}, "it starts with 0xffffffff"),
        ({"version": 102}, "the format's version 102; known are 100 and 101"),
        ({"width": 0}, "is damaged: vocabulary 5, width 0, layers 1"),
        ({"layers": 2}, "says that it has 2 layers, and has 1"),
        ({"layers": 2**31 - 1}, "says that it has 2147483647 layers, and has 1"),
        ({"vocabulary": 6}, r"embedding.weight has the shape \(5, 4\); it must be \(6, 4\)"),
        ({"width": 8}, "feed_forward.key.weight has 12 outputs; it must have a multiple of the width, 8"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=f"small.bin.*{message}"):
        load_rwkv(written(tmp_path / "small.bin", rwkv4_tensors(), **settings))


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (struct.pack("<3i", 1, 4, 0), "is cut short"),
        (struct.pack("<3i", 5, 4, 0) + bytes(40), "a tensor has 5 axes and a name of 4 bytes"),
        (struct.pack("<3i", -1, 4, 0) + bytes(40), "a tensor has -1 axes"),
        (struct.pack("<4i", 1, -4, 0, 1) + bytes(40), "a name of -4 bytes"),
        (struct.pack("<4i", 1, 2**31 - 1, 0, 1) + bytes(40), "is cut short: 2147483647 bytes"),
        (struct.pack("<4i", 1, 1, 0, -7) + b"x" + bytes(40), r"'x' has the shape \(-7,\)"),
        (struct.pack("<7i", 4, 1, 0, *[2**31 - 1] * 4) + b"x" + bytes(40), "is cut short: [0-9]{30,} bytes"),
        (struct.pack("<4i", 1, 1, 8, 32) + b"x" + bytes(40), r"'x' is quantised \(type 8\); convert the model"),
        (packed("emb.weight", torch.zeros(5, 4)), "it holds emb.weight twice"),
        (packed("extra", torch.zeros(1)), "holds extra, which no such model has"),
        (packed("blocks.0.att.extra", torch.zeros(1)), "holds blocks.0.att.extra, which no such model has"),
        (packed("blocks.1.ln2.bias", torch.zeros(4)), "what would be blocks.1.feed_forward_norm.bias, in a model of 1"),
        (packed("é", torch.zeros(1)).replace("é".encode(), b"\xff\xfe"), "holds \ufffd\ufffd, which no such model has"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value[:30],
)
def test_a_damaged_or_foreign_tensor_is_refused(tmp_path, tail, message):
    path = written(tmp_path / "small.bin", rwkv4_tensors())
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(ValueError, match=f"small.bin.*{message}"):
        load_rwkv(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"head.weight": None}, "lacks what is head.weight here"),
        ({"blocks.0.ln2.bias": None}, "lacks what is blocks.0.feed_forward_norm.bias here"),
        ({"blocks.0.att.time_first": None}, "is of no version of RWKV that is known; it must be RWKV4 or RWKV7"),
        ({"blocks.0.att.time_maa_x": torch.zeros(4)}, "is an RWKV6 model; it must be RWKV4 or RWKV7"),
        ({"blocks.0.att.time_decay": torch.zeros(4)}, "blocks.0.att.time_decay has decays that are not negative"),
        ({"blocks.0.ffn.value.weight": torch.zeros(12, 4)}, r"has the shape \(12, 4\); it must be \(4, 12\)"),
        ({"blocks.0.att.time_first": torch.zeros(3)}, r"mixer.bonus has the shape \(3,\); it must be \(4,\)"),
    ],
)
def test_tensors_that_do_not_make_a_model_are_refused(tmp_path, changed, message):
    with pytest.raises(ValueError, match=f"small.bin.*{message}"):
        load_rwkv(written(tmp_path / "small.bin", rwkv4_tensors(**changed)))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read .*absent.bin: No such file"):
        load_rwkv(tmp_path / "absent.bin")
    with pytest.raises(ValueError, match="cannot read"):
        load_rwkv(tmp_path)


def test_axes_are_turned_round(tmp_path):
    file = read_rwkv_file(written(tmp_path / "small.bin", {"a": torch.arange(6.0).view(2, 1, 3)}, vocabulary=7))
    assert (file.vocabulary, file.width, file.layers) == (7, 4, 1)
    assert file.tensors["a"].tolist() == [[[0, 1, 2]], [[3, 4, 5]]]
