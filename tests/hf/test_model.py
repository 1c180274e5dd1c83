"""What people do with a model of transformers, done with one of ours; and what they are told when it cannot be."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache, Trainer, TrainingArguments
from transformers.generation.streamers import BaseStreamer

import statewise.hf
from hf.made import VOCABULARY, build, continued, tokens
from statewise.core.errors import UsageError
from statewise.hf import StatewiseCache, StatewiseConfig, StatewiseForCausalLM
from statewise.models import LanguageModel, ModelConfig
from statewise.testing import assert_close


def test_the_configuration_has_the_fields_of_ours_with_their_defaults():
    ours = {field.name: field.default for field in dataclasses.fields(ModelConfig) if field.name != "channels"}
    theirs = {field.name: field.default for field in dataclasses.fields(StatewiseConfig) if field.name in ours}
    assert theirs == ours | {"vocabulary": 256}


def test_the_configuration_goes_through_json(tmp_path):
    settings = {"mixer_settings": ("window=4",), "logits_cap": 3, "norm_epsilon": 1e-3, "feed_forward_units": 5}
    config = StatewiseConfig(stack="attention", positions="rope", eos_token_id=3, **settings)
    config.save_pretrained(tmp_path)
    again = AutoConfig.from_pretrained(tmp_path)
    assert again.to_model_config() == config.to_model_config()
    assert (again.eos_token_id, again.vocab_size, again.hidden_size, again.num_hidden_layers) == (3, 256, 64, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stack": "minggru"}, "unknown model 'minggru': did you mean mingru"),
        ({"mixer_settings": ("window=3",)}, "mingru takes no 'window'"),
        ({"tie_word_embeddings": True}, "a statewise model has a head of its own: leave it False"),
    ],
)
def test_a_configuration_of_no_model_is_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        StatewiseConfig(**settings)


def test_sampling_draws_by_the_seed():
    model, prompt = build("mingru"), tokens(1, 4)
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(continued(model, prompt, 12, do_sample=True, temperature=1.5, top_p=0.9).tolist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_streamer_gets_every_token_as_it_comes():
    class Kept(BaseStreamer):
        def __init__(self):
            self.tokens, self.ended = [], False

        def put(self, value):
            self.tokens += value.flatten().tolist()

        def end(self):
            self.ended = True

    model, prompt, kept = build("mingru"), tokens(1, 4), Kept()
    made = continued(model, prompt, streamer=kept)
    assert (kept.tokens, kept.ended) == ([*prompt[0].tolist(), *made[0].tolist()], True)


def test_a_conversation_goes_on_from_its_cache():
    model, prompt = build("mingru+attention"), tokens(1, 4)
    cache = StatewiseCache()
    first = model.generate(prompt, max_new_tokens=3, do_sample=False, cache=cache)
    whole = torch.cat([first, tokens(1, 5, seed=1)], 1)
    assert cache.get_seq_length() == 6
    assert torch.equal(
        model.generate(whole, max_new_tokens=4, do_sample=False, cache=cache),
        model.generate(whole, max_new_tokens=4, do_sample=False),
    )


def test_packed_documents_do_not_meet():
    model, first, second = build("mingru+attention"), tokens(1, 5), tokens(1, 4, seed=1)
    packed, positions = torch.cat([first, second], 1), torch.tensor([[0, 1, 2, 3, 4, 0, 1, 2, 3]])
    apart = torch.cat([model(first).logits, model(second).logits], 1)
    assert_close("by position", model(packed, position_ids=positions).logits, apart)
    assert_close("by reset", model(packed, reset=positions == 0).logits, apart)


def test_a_mask_alone_says_where_sequences_start():
    model, read, mask = build("mingru+attention"), tokens(2, 6), torch.ones(2, 6, dtype=torch.int64)
    mask[0, :4] = 0
    both = model(read, attention_mask=mask)
    alone = model(read[:1, 4:])
    assert_close("logits", both.logits[:1, 4:], alone.logits)
    next_ones, longer = tokens(2, 1, seed=1), torch.cat([mask, mask[:, -1:]], 1)
    after = model(next_ones, attention_mask=longer, cache=both.cache).logits
    assert_close("after", after[:1], model(next_ones[:1], cache=alone.cache).logits)


def test_right_padding_is_behind_what_is_scored():
    model, read, mask = build("mingru"), tokens(2, 6), torch.ones(2, 6, dtype=torch.int64)
    mask[0, 4:] = 0
    assert_close("logits", model(read, attention_mask=mask).logits[0, :4], model(read[:1, :4]).logits[0])


def test_only_the_logits_that_are_asked_for_are_made():
    model, read = build("mingru"), tokens(2, 6)
    whole = model(read).logits
    assert_close("last", model(read, logits_to_keep=1).logits, whole[:, -1:])
    assert_close("some", model(read, logits_to_keep=torch.tensor([1, 4])).logits, whole[:, [1, 4]])
    assert isinstance(model(read, return_dict=False), tuple)


def test_more_tokens_can_be_had_and_saved(tmp_path):
    model, read = build("mingru", logits_cap=2.0), tokens(2, 6)
    before = model(read).logits
    model.resize_token_embeddings(VOCABULARY + 3, mean_resizing=False)
    assert_close("logits", model(read).logits[..., :VOCABULARY], before)
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert again.config.vocab_size == again.model.config.vocabulary == model.model.config.vocabulary == 16
    assert_close("again", again(read).logits, model(read).logits)


def test_a_cache_selects_repeats_and_forgets_but_does_not_take_back():
    model, read = build("mingru+attention"), tokens(3, 6)
    with torch.no_grad():
        cache, next_ones = model(read).cache, tokens(3, 1, seed=1)
        expected = model(next_ones, cache=model(read).cache).logits
        cache.batch_repeat_interleave(2)
        cache.batch_select_indices(torch.tensor([4, 1]))
        assert cache.batch_size == 2
        assert_close("rows", model(next_ones[[2, 0]], cache=cache).logits, expected[[2, 0]])
    with pytest.raises(UsageError, match=r"crop\(-1\) would take tokens back, which a recurrent state cannot"):
        cache.crop(-1)
    assert repr(cache) == f"StatewiseCache(7 tokens, {cache.bits} bits)"
    cache.reset()
    assert (cache.get_seq_length(), cache.state) == (0, None)


def test_a_learnt_task_through_trainer(tmp_path):
    model = build("mingru*2", vocabulary=8, width=16)
    rows = (torch.arange(12) + torch.arange(8)[:, None]) % 8
    data = [{"input_ids": row, "labels": row, "attention_mask": torch.ones_like(row)} for row in rows]
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=60, per_device_train_batch_size=4, gradient_accumulation_steps=2,
        learning_rate=1e-2, report_to=[], use_cpu=True, disable_tqdm=True, save_steps=60, activation_checkpointing=True,
        logging_strategy="no",
    )  # fmt: skip
    trainer = Trainer(model, arguments, train_dataset=data, eval_dataset=data)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < 0.1 < before
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "checkpoint-60")
    assert continued(again, torch.tensor([[1, 2, 3]]), 5).tolist() == [[4, 5, 6, 7, 0]]


# Dynamo makes an instance of every autograd function that it traces, which torch itself deprecates.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("stack", ["mingru", "mamba2", "attention"])
def test_torch_compile_changes_nothing(stack):
    torch._dynamo.reset()
    model, read, mask = build(stack).train(), tokens(2, 9), torch.ones(2, 9, dtype=torch.int64)
    mask[0, :3] = 0
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    given = {"labels": read, "attention_mask": mask, "use_cache": False}
    one, other = compiled(read, **given), model(read, **given)
    assert_close("loss", one.loss, other.loss)
    grads = [torch.autograd.grad(output.loss, list(model.parameters())) for output in (one, other)]
    for left, right in zip(*grads, strict=True):
        assert_close("gradient", left, right)
    torch._dynamo.reset()


def test_a_model_of_ours_becomes_a_folder_and_comes_back(tmp_path):
    model, read = LanguageModel(vocabulary=VOCABULARY, width=8, stack="mingru+gru").eval(), tokens(2, 6)
    folder = statewise.hf.save(model, tmp_path / "folder", eos_token_id=0)
    again = statewise.hf.load(folder)
    assert (type(again), again.config) == (LanguageModel, model.config)
    assert_close("logits", again(read)[0], model(read)[0])
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    assert theirs.config.eos_token_id == 0
    with pytest.raises(UsageError, match="is there already; name a folder that is not, or an empty one"):
        statewise.hf.save(model, folder)


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    def fail(self, folder):
        (folder / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(StatewiseForCausalLM, "save_pretrained", fail)
    with pytest.raises(OSError, match="No space left"):
        statewise.hf.save(LanguageModel(vocabulary=3, width=4), tmp_path / "folder")
    assert not list(tmp_path.iterdir())


def changed(folder, change):
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


DAMAGE = {
    "missing": (
        lambda weights: weights.pop("model.norm.weight"),
        r"it lacks 1 tensor \(model.norm.weight\)",
    ),
    "surplus": (
        lambda weights: weights.update({f"more.{i}": torch.zeros(1) for i in range(4)}),
        r"it has a surplus of 4 tensors \(more.0, more.1, more.2, …\)",
    ),
    "shape": (
        lambda weights: weights.update({"model.norm.weight": torch.zeros(3)}),
        r"model.norm.weight has the shape \(3,\); the model that config.json describes needs \(8,\)",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_checkpoint_that_is_not_the_models_is_one_line(case, tmp_path):
    change, message = DAMAGE[case]
    build("mingru").save_pretrained(tmp_path)
    changed(tmp_path, change)
    with pytest.raises(UsageError, match=message) as caught:
        AutoModelForCausalLM.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_refused_unread(tmp_path):
    build("mingru").save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"pytorch_model.bin is a pickle, which can run any program"):
        AutoModelForCausalLM.from_pretrained(tmp_path)


def test_what_is_no_folder_is_not_fetched():
    with pytest.raises(UsageError, match=r"load: 'org/name' is no folder here, and nothing is downloaded; fetch the"):
        statewise.hf.load("org/name")


def test_a_folder_that_is_no_model_says_so(tmp_path):
    with pytest.raises(UsageError, match=r"holds no config.json, so it is not a model of Hugging Face"):
        statewise.hf.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(UsageError, match="unknown architecture 'gpt2'"):
        statewise.hf.load(tmp_path)


def test_masks_and_caches_that_do_not_fit_are_refused():
    model, read = build("mingru"), tokens(2, 6)
    with pytest.raises(UsageError, match="cache is a DynamicCache; pass a StatewiseCache, or leave it out"):
        model(read, cache=DynamicCache())
    with pytest.raises(UsageError, match=r"attention_mask is \(2, 5\); it must be \(2, 6\)"):
        model(read, attention_mask=torch.ones(2, 5))
    cache, mask = model(read).cache, torch.ones(2, 9)
    mask[0, 6:8] = 0
    with pytest.raises(UsageError, match="attention_mask has padding behind tokens that were read"):
        model(tokens(2, 3), cache=cache, attention_mask=mask)
    with pytest.raises(ValueError, match="assisted generation is not supported with stateful models"):
        continued(model, read[:1], prompt_lookup_num_tokens=2)
