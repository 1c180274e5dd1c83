"""Reading in pieces is reading at once, and what was saved goes on as if nothing had been between."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from statewise.core.errors import RunError, UsageError
from statewise.core.padding import left_padding_reset
from statewise.core.random import seeded
from statewise.models import LanguageModel, continuation, decoding
from statewise.models.continuation import load_continuation, save_continuation
from statewise.models.decoding import Decoder
from statewise.models.sampling import Sampling, penalise_repetition

STACKS = ["mingru*2", "gru", "mamba", "mlstm", "lru", "attention", "mingru+attention"]
SAMPLING = Sampling(temperature=0.8, top_k=9, repetition_penalty=1.3)


def build(stack="mingru*2", seed=0, **settings):
    with seeded(seed):
        model = LanguageModel(**{"vocabulary": 21, "width": 8, "stack": stack, "conv": 3, **settings}).eval()
        torch.nn.init.normal_(model.head.weight)
        return model


def tokens(count, batch=1):
    return torch.randint(21, (batch, count), generator=torch.Generator().manual_seed(1))


def decoder(model, **options):
    generator = torch.Generator().manual_seed(5)
    return Decoder(model, **{"sampling": SAMPLING, "generator": generator, "remember": True, **options})


def written(reader, count):
    return torch.stack(list(reader.write(count)), 1).tolist()


@pytest.mark.parametrize("stack", STACKS)
def test_reading_in_pieces_is_reading_at_once(stack, monkeypatch):
    model, text = build(stack), tokens(50, batch=2)
    whole = decoder(model)
    whole.read(text)
    expected = written(whole, 12)
    monkeypatch.setattr(decoding, "READ_AT_ONCE", 7)
    parts = decoder(model)
    for a, b in ((0, 1), (1, 1), (1, 20), (20, 50)):
        parts.read(text[:, a:b])
    assert written(parts, 12) == expected
    assert parts.count == whole.count == 62


@pytest.mark.parametrize("stack", STACKS)
def test_what_was_saved_goes_on_as_if_nothing_had_been_between(stack, tmp_path):
    model, text = build(stack), tokens(40)
    whole = decoder(model)
    whole.read(text)
    expected = written(whole, 20)

    first = decoder(model)
    first.read(text[:, :25])
    save_continuation(first, tmp_path / "read", tokenizer="bytes", drawn=False)
    second = decoder(model)
    load_continuation(second, tmp_path / "read", tokenizer="bytes")
    second.read(text[:, 25:])
    assert written(second, 8) == [expected[0][:8]]
    save_continuation(second, tmp_path / "read", tokenizer="bytes", drawn=True)
    third = decoder(model, generator=torch.Generator().manual_seed(99))
    load_continuation(third, tmp_path / "read", tokenizer="bytes")
    assert written(third, 12) == [expected[0][8:]]
    assert [path.name for path in tmp_path.iterdir()] == ["read"]


def test_a_saved_book_takes_a_few_kilobytes(tmp_path):
    model = build(vocabulary=256, width=32)
    for name, count in (("short", 100), ("long", 20_000)):
        reader = decoder(model)
        reader.read(torch.randint(256, (1, count)))
        save_continuation(reader, tmp_path / name, tokenizer="bytes", drawn=False)
    assert (tmp_path / "long").stat().st_size <= (tmp_path / "short").stat().st_size + 16 < 5000


@pytest.mark.parametrize("stack", ["mingru", "attention"])
def test_left_padded_prompts_are_read_as_each_alone(stack):
    model, text = build(stack), tokens(6, batch=2)
    reset = left_padding_reset([6, 1], 6)
    both = torch.stack(list(model.generate(text, 5, temperature=0, reset=reset)), 1)
    for row, count in ((0, 6), (1, 1)):
        alone = torch.stack(list(model.generate(text[row : row + 1, 6 - count :], 5, temperature=0)), 1)
        assert torch.equal(both[row : row + 1], alone)


def test_the_penalty_counts_what_was_read_and_written():
    model, text = build(), tokens(3)
    reader = decoder(model, sampling=Sampling(temperature=0, repetition_penalty=2.0))
    reader.read(text)
    for token in written(reader, 15)[0]:
        seen = torch.zeros(1, 21, dtype=torch.bool).scatter_(1, text, True)
        expected = penalise_repetition(model(text)[0][:, -1], seen, 2.0).argmax(-1)
        assert token == expected.item()
        text = torch.cat([text, expected[:, None]], 1)


def saved(tmp_path, model=None, **options):
    reader = decoder(model or build())
    reader.read(tokens(9))
    save_continuation(reader, tmp_path / "read", **{"tokenizer": "bytes", "drawn": False, **options})
    return tmp_path / "read"


def altered(path, change):
    """The file with its own account of itself changed."""
    with safe_open(path, framework="pt") as file:
        about = dict(file.metadata())
    plain = json.loads(about[continuation.KEY])
    change(plain)
    save_file(load_file(path), path, metadata={**about, continuation.KEY: json.dumps(plain)})


def refused(path, error, message, *, model=None, tokenizer="bytes"):
    with pytest.raises(error, match=message) as found:
        load_continuation(decoder(model or build()), path, tokenizer=tokenizer)
    assert "\n" not in str(found.value)


def test_the_state_of_another_model_is_refused(tmp_path):
    path = saved(tmp_path)
    refused(
        path,
        UsageError,
        "read holds the state of another model, .*: name the run that it was saved",
        model=build(seed=1),
    )
    refused(path, UsageError, "read holds the state of another model", model=build("gru"))
    refused(path, UsageError, "read was read with another tokenizer, bytes…; this run's is 7f3a…", tokenizer="7f3a")


def test_another_version_and_damage_are_refused(tmp_path):
    path = saved(tmp_path)
    altered(path, lambda plain: plain.update(format=2))
    refused(
        path, UsageError, "was saved by another version of statewise, in format 2; this one reads format 1: read the"
    )
    path = saved(tmp_path)
    altered(path, lambda plain: plain.update(content="0" * 64))
    refused(path, RunError, "read is damaged: its contents do not have its digest")
    path.write_bytes(path.read_bytes()[:-3])
    refused(path, RunError, "read does not hold a whole state")
    save_file({"a": torch.zeros(1)}, path)
    refused(path, RunError, "is a safetensors file without a state of statewise")
    refused(tmp_path / "absent", RunError, "there is no state file")
    torch.save({"a": 1}, path)
    refused(path, RunError, "does not hold a whole state: it is a pickle, which can run any program when it is read")


@pytest.mark.parametrize("name", list(continuation.ACCOUNT))
@pytest.mark.parametrize("value", [None, []])
def test_an_account_that_is_damaged_is_refused(name, value, tmp_path):
    path = saved(tmp_path)
    altered(path, lambda plain: plain.update({name: value}))
    refused(path, RunError, f"read is damaged: its {name} is .*; it must be of type .*; read the text again")


@pytest.mark.parametrize(("text", "message"), [("{", "is no JSON"), ("[]", "is a list; it must be an object")])
def test_an_account_that_is_none_is_refused(text, message, tmp_path):
    path = saved(tmp_path)
    with safe_open(path, framework="pt") as file:
        about = dict(file.metadata())
    save_file(load_file(path), path, metadata={**about, continuation.KEY: text})
    refused(path, RunError, f"read is damaged: what it says of itself {message}")


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("waiting"),
        lambda tensors: tensors.update(more=torch.zeros(1)),
        lambda tensors: tensors.update(seen=torch.zeros(2, 2)),
    ],
    ids=["missing", "surplus", "shape"],
)
def test_a_state_with_other_tensors_is_refused(change, tmp_path):
    path = saved(tmp_path)
    with safe_open(path, framework="pt") as file:
        about = dict(file.metadata())
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata=about)
    refused(path, RunError, "read is damaged: its tensors are not those of this model's state; read the text again")


def test_nothing_is_written_where_it_cannot_be_whole(tmp_path, monkeypatch):
    path = saved(tmp_path)
    before = path.read_bytes()

    def fail(state, half, **options):
        half.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(continuation, "save_state", fail)
    with pytest.raises(RunError, match="read cannot be written: No space left on device"):
        saved(tmp_path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["read"]
    with pytest.raises(UsageError, match="nothing has been read"):
        save_continuation(decoder(build()), path, tokenizer="bytes", drawn=False)
