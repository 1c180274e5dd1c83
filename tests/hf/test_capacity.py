"""The meter on pretrained models: a cache crosses as bytes and answers as if it had never left."""

import json

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import AutoModelForCausalLM as Auto
from transformers import LlamaConfig, Mamba2Config, MambaConfig, MistralConfig, RecurrentGemmaConfig

from hf.made import build
from statewise.capacity import measure
from statewise.cli import main
from statewise.core.errors import UsageError
from statewise.core.random import seeded
from statewise.hf.pairs import CachedPairs, Pairs, open_pairs

SMALL = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "pad_token_id": None, "eos_token_id": None}
ATTENTION = SMALL | {"intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1}
CONFIGS = {
    "llama": LlamaConfig(**ATTENTION),
    "mistral, window": MistralConfig(**ATTENTION, sliding_window=5),
    "mamba": MambaConfig(**SMALL, state_size=5),
    "mamba2": Mamba2Config(**SMALL, num_heads=4, head_dim=8, state_size=6, n_groups=2, chunk_size=16),
    "statewise": None,
}
BITS = {
    "llama": lambda tokens: 32 * 2 * 2 * 8 * tokens,
    "mistral, window": lambda tokens: 32 * 2 * 2 * 8 * min(tokens, 4),
    "mamba": lambda tokens: 32 * 2 * (32 * 5 + 32 * 4),
    "mamba2": lambda tokens: 32 * 2 * (32 * 6 + (32 + 24) * 4),
    "statewise": lambda tokens: 32 * 2 * 8,
}


def saved(name, folder):
    if CONFIGS[name] is None:
        model = build("mingru*2", vocabulary=40)
    else:
        with seeded(0), torch.no_grad():
            model = Auto.from_config(CONFIGS[name])
            for parameter in model.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_what_crossed_as_bytes_answers_as_the_whole_prompt_does(name, tmp_path):
    pairs, _ = open_pairs(saved(name, tmp_path), alphabet=3, places=4, seed=0)
    assert isinstance(pairs, CachedPairs)
    through_bytes = measure(pairs, alphabet=3, sizes=(2, 4), strings=20, at_once=16)
    apart = Pairs(pairs.model, keys=pairs.keys, values=pairs.values)
    at_once = measure(apart, alphabet=3, sizes=(2, 4), strings=20)
    for size, one, other in zip((2, 4), through_bytes, at_once, strict=True):
        assert one.recovered_bits == pytest.approx(other.recovered_bits, abs=1e-4)
        assert (one.state_bits, other.state_bits) == (BITS[name](2 * size), None)
        assert one.counter_bits == 64


class Recaller(torch.nn.Module):
    """Answers a key with the token that stood behind it, from the whole text: what a perfect model does."""

    def _supports_logits_to_keep(self):
        return False

    def forward(self, input_ids, use_cache):
        found = (input_ids[:, :-1] == input_ids[:, -1:]).int().argmax(1)
        after = input_ids.gather(1, found[:, None] + 1)
        logits = 30.0 * torch.nn.functional.one_hot(after, 40)
        return type("Output", (), {"logits": logits})


def test_a_model_that_recalls_gives_every_bit_back():
    pairs = Pairs(Recaller(), keys=torch.arange(10, 18), values=torch.arange(4))
    (reading,) = measure(pairs, alphabet=4, sizes=(8,), strings=30)
    assert reading.required_bits - 0.2 < reading.recovered_bits <= reading.required_bits


def test_a_model_that_hides_its_state_is_not_counted(tmp_path, capsys):
    config = RecurrentGemmaConfig(**SMALL | {"num_hidden_layers": 3}, intermediate_size=32, num_attention_heads=2)
    with seeded(0):
        Auto.from_config(config).save_pretrained(tmp_path)
    assert type(open_pairs(tmp_path, alphabet=2, places=2, seed=0)[0]) is Pairs
    assert main(["capacity", "--hf", str(tmp_path), "--alphabet", "2", "--sizes", "2", "--seeds", "0"]) == 0
    said = capsys.readouterr().out
    assert "not counted" in said
    assert "`statewise convert` makes it one whose state is counted" in " ".join(said.split())


def with_tokenizer(folder, words):
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[0]))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))


def test_keys_and_values_are_words_of_the_tokenizer_and_the_same_for_a_seed(tmp_path):
    saved("statewise", tmp_path)
    words = ["?", "!", *(f"word{i}" for i in range(30))]
    with_tokenizer(tmp_path, words)
    pairs, said = open_pairs(tmp_path, alphabet=4, places=6, seed=0)
    again, _ = open_pairs(tmp_path, alphabet=4, places=6, seed=0)
    other, _ = open_pairs(tmp_path, alphabet=4, places=6, seed=1)
    chosen = [*pairs.values.tolist(), *pairs.keys.tolist()]
    assert len(set(chosen)) == 10
    assert all(i >= 2 for i in chosen)
    assert "'word" in said
    assert chosen == [*again.values.tolist(), *again.keys.tolist()] != [*other.values.tolist(), *other.keys.tolist()]


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    saved("statewise", tmp_path)
    with_tokenizer(tmp_path, [f"word{i}" for i in range(41)])
    with pytest.raises(UsageError, match="the tokenizer has 41 tokens and the model's vocabulary is 40"):
        open_pairs(tmp_path, alphabet=4, places=6, seed=0)


def test_too_few_tokens_are_refused(tmp_path):
    with pytest.raises(UsageError, match="has 40 tokens that can be keys or values; 16 values and 32 keys are needed"):
        open_pairs(saved("statewise", tmp_path), alphabet=16, places=32, seed=0)


def test_the_command_prints_a_ladder(tmp_path, capsys):
    saved("mamba", tmp_path)
    sizes = ["--sizes", "2", "3", "--alphabet", "2", "--strings", "all", "--seeds", "0", "1"]
    assert main(["capacity", "--hf", str(tmp_path), *sizes]) == 0
    said = capsys.readouterr().out
    assert said.count("exact") == 4
    assert f"{BITS['mamba'](0):,}" in said


BAD = {
    "no folder": (["capacity", "--hf", "org/name"], "'org/name' is no folder here, and nothing is downloaded"),
    "trained": (["capacity", "--hf", "x", "--steps", "3"], "steps is 3, and with --hf nothing is trained"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_one_line(case, capsys):
    arguments, message = BAD[case]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
