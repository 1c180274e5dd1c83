"""Sequences of different lengths in one left-padded batch give what each gives alone: positions restart there too."""

import pytest
import torch

from statewise.core.padding import left_padding_reset
from statewise.core.random import seeded
from statewise.models import LanguageModel
from statewise.testing import assert_close

STACKS = ["mingru+attention", "gru+attention*2"]
LENGTHS = (9, 4, 1)


def build(stack, positions):
    places = {"positions": positions, "max_length": 30 if positions == "learned" else None}
    with seeded(0):
        return LanguageModel(vocabulary=11, width=6, stack=stack, conv=3, **places).double()


def tokens(*shape, seed=0):
    return torch.randint(0, 11, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("positions", ["none", "learned", "rope"])
@pytest.mark.parametrize("stack", STACKS)
def test_real_tokens_do_not_see_the_padding(stack, positions):
    model, reset = build(stack, positions), left_padding_reset(LENGTHS, 9)
    padded, after = tokens(3, 9), tokens(3, 5, seed=1)
    logits, state = model(padded, reset=reset)
    later, _ = model(after, state)
    for row, length in enumerate(LENGTHS):
        alone = torch.cat([padded[row : row + 1, 9 - length :], after[row : row + 1]], 1)
        expected = model(alone)[0][0]
        assert_close(f"{length} tokens", logits[row, 9 - length :], expected[:length])
        assert_close(f"5 tokens after {length}", later[row], expected[length:])


@pytest.mark.parametrize("positions", ["none", "learned", "rope"])
@pytest.mark.parametrize("stack", STACKS)
def test_left_padded_prompts_are_continued_as_each_alone(stack, positions):
    model = build(stack, positions)
    prompts = tokens(3, 9)
    together = model.generate(prompts, 6, temperature=0, reset=left_padding_reset(LENGTHS, 9))
    rows = torch.stack(list(together), 1)
    for row, length in enumerate(LENGTHS):
        alone = list(model.generate(prompts[row : row + 1, 9 - length :], 6, temperature=0))
        assert rows[row].tolist() == torch.cat(alone).tolist()


def test_padding_gets_no_gradient():
    model = build("mingru+attention", "learned")
    padded = torch.cat([torch.full((1, 5), 10), tokens(1, 4).clamp(max=9)], 1)
    logits, _ = model(padded, reset=left_padding_reset([4], 9))
    logits[:, 5:].square().sum().backward()
    assert not model.embedding.weight.grad[10].any()
    assert model.embedding.weight.grad[:10].any()
    assert not model.places.weight.grad[4:].any()
