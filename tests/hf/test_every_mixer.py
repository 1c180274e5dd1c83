"""What a model of transformers does is what our LanguageModel does, whatever mixers it is made of."""

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from hf.made import build, continued, tokens
from statewise.core.state import leaves
from statewise.hf import StatewiseCache, StatewiseForCausalLM
from statewise.mixers import MIXERS
from statewise.models import LanguageModel
from statewise.testing import assert_close

over_stacks = pytest.mark.parametrize("stack", [*MIXERS, "rwkv7*2", "mingru+attention"])


@over_stacks
def test_logits_and_state_are_those_of_the_language_model(stack):
    model, read = build(stack), tokens(2, 9)
    output, (logits, state) = model(read), model.model(read)
    assert isinstance(model.model, LanguageModel)
    assert_close("logits", output.logits, logits)
    for one, other in zip(leaves(output.cache.state), leaves(state), strict=True):
        assert torch.equal(one, other)


@over_stacks
def test_greedy_generation_is_that_of_the_language_model(stack):
    model, prompt = build(stack), tokens(3, 5)
    ours = torch.stack(list(model.model.generate(prompt, 4, temperature=0)), 1)
    assert torch.equal(continued(model, prompt), ours)


@over_stacks
def test_left_padding_changes_no_token(stack):
    model, prompt, mask = build(stack), tokens(2, 7), torch.ones(2, 7, dtype=torch.int64)
    mask[0, :5] = 0
    together = continued(model, prompt, attention_mask=mask)
    for row, padding in enumerate((5, 0)):
        assert torch.equal(together[row : row + 1], continued(model, prompt[row : row + 1, padding:]))
    in_chunks = continued(model, prompt, attention_mask=mask, prefill_chunk_size=2, cache=StatewiseCache())
    assert torch.equal(in_chunks, together)


@over_stacks
def test_a_beam_of_one_is_greedy_and_beams_find_likelier_text(stack):
    model, prompt = build(stack), tokens(2, 5)
    greedy = continued(model, prompt, num_beams=1)
    beams = continued(model, prompt, num_beams=4, length_penalty=0.0)

    def likelihood(text):
        logits = model(torch.cat([prompt, text], 1)).logits[:, 4:-1]
        return logits.log_softmax(-1).gather(2, text[..., None]).sum((1, 2))

    assert torch.equal(greedy, continued(model, prompt))
    assert bool((likelihood(beams) >= likelihood(greedy) - 1e-4).all())


@over_stacks
def test_beams_carry_the_state_of_the_text_that_they_grew_from(stack):
    model, prompt = build(stack), tokens(2, 5)
    asked = {"num_beams": 3, "num_return_sequences": 2, "length_penalty": 0.0}
    assert torch.equal(continued(model, prompt, **asked), continued(model, prompt, use_cache=False, **asked))


@over_stacks
def test_a_saved_model_comes_back(stack, tmp_path):
    model, read = build(stack), tokens(2, 9)
    model.save_pretrained(tmp_path, max_shard_size="1KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(again) is StatewiseForCausalLM
    assert again.config.to_model_config() == model.config.to_model_config() == again.model.config
    assert AutoConfig.from_pretrained(tmp_path).model_type == "statewise"
    assert_close("logits", again(read).logits, model(read).logits)


@over_stacks
def test_a_cache_goes_on_where_it_was_and_recurrent_ones_keep_their_size(stack):
    model, read = build(stack), tokens(2, 12)
    with torch.no_grad():
        whole, first = model(read), model(read[:, :5])
    bits, cache = first.cache.bits, copy.deepcopy(first.cache)
    rest = model(read[:, 5:], cache=cache)
    assert_close("logits", torch.cat([first.logits, rest.logits], 1), whole.logits)
    assert (rest.cache.bits == bits) == all(MIXERS[name].recurrent for name in model.model.config.layers)
    assert (rest.cache.get_seq_length(), first.cache.get_seq_length()) == (12, 5)


@over_stacks
def test_the_loss_is_that_of_the_next_token_and_reaches_every_weight(stack):
    model, read = build(stack).train(), tokens(2, 9)
    labels = read.clone()
    labels[0, :4] = -100
    loss = model(read, labels=labels).loss
    logits = model.model(read)[0][:, :-1]
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
    assert_close("loss", loss, expected)
    shared = model(read, labels=labels, num_items_in_batch=26).loss
    assert_close("loss of a part of a batch", shared, expected * 13 / 26)
    model.activation_checkpointing_enable()
    recomputed = model(read, labels=labels).loss
    grads = [torch.autograd.grad(each, list(model.parameters()), allow_unused=True) for each in (loss, recomputed)]
    for one, other in zip(*grads, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert_close("gradient", one, other)


@over_stacks
def test_bfloat16_runs_and_generates(stack, tmp_path):
    model, read = build(stack), tokens(2, 9)
    model.save_pretrained(tmp_path)
    half = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}
    assert (half(read).logits.float() - model(read).logits).abs().max() < 0.15
    assert continued(half, read).shape == (2, 4)
