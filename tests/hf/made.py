"""Small models and prompts for the tests of this folder."""

import torch

from statewise.core.random import seeded
from statewise.hf import StatewiseConfig, StatewiseForCausalLM

VOCABULARY = 13


def build(stack, **settings):
    """A model of width 8 whose every weight says something: what starts at zero would hide what it multiplies."""
    with seeded(0), torch.no_grad():
        config = StatewiseConfig(**{"vocabulary": VOCABULARY, "width": 8, "stack": stack, "feed_forward": 1} | settings)
        model = StatewiseForCausalLM(config)
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


def tokens(*shape, seed=0):
    return torch.randint(VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def continued(model, prompt, length=4, **settings):
    """What `generate` appends, (B, length) int64, greedily unless `settings` say otherwise."""
    made = model.generate(prompt, max_new_tokens=length, **{"do_sample": False} | settings)
    return made[:, prompt.shape[1] :]
