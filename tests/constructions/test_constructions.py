"""Laws of constructions: exact where they say so, made of what users train, step by step as in parallel."""

import pytest
import torch

from statewise.constructions import CONSTRUCTIONS, build
from statewise.core import UsageError
from statewise.models import load_model, save_model

SIZES = dict.fromkeys(CONSTRUCTIONS, 6)
"""A size that each has, small enough to be quick."""


@pytest.fixture(scope="module")
def built():
    return {name: build(name, size) for name, size in SIZES.items()}


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_it_is_exact_at_the_largest_size_claimed(built, name):
    verification = built[name].verify()
    assert verification.exact, verification.first
    assert verification.inputs > 0
    assert built[name].sizes[1] >= SIZES[name]


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_it_is_exact_at_the_smallest_size_claimed(built, name):
    verification = built[name].verify(built[name].sizes[0])
    assert verification.exact, verification.first


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_token_by_token_it_says_the_same(built, name):
    construction = built[name]
    size = construction.sizes[1]
    batch = construction.task.examples("train", seed=0, start=0, count=8, size=size)
    tokens = batch.tokens.to(construction.precision) if batch.tokens.is_floating_point() else batch.tokens
    state, model = construction.model.initial_state(8), construction.model
    outputs = []
    with torch.no_grad():
        for t in range(tokens.shape[1]):
            output, state = model.step(tokens[:, t], state)
            outputs.append(output)
    answers = torch.stack(outputs, 1)
    if tokens.is_floating_point():
        assert torch.allclose(answers, model(tokens)[0], rtol=1e-4, atol=1e-4)
    else:
        assert torch.equal(answers.argmax(-1)[batch.scored], batch.targets[batch.scored])


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_it_is_saved_and_loaded_like_any_model(built, name, tmp_path):
    save_model(built[name].model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    for key, tensor in built[name].model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor)
        assert loaded.state_dict()[key].dtype == tensor.dtype


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_its_weights_are_in_the_precision_that_it_states(built, name):
    assert {parameter.dtype for parameter in built[name].model.parameters()} == {built[name].precision}


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="unknown construction 'index-lookup/atention': did you mean"):
        build("index-lookup/atention", 4)


def test_a_mistake_is_counted_and_shown():
    construction = build("index-lookup/attention", 3, alphabet=2)
    with torch.no_grad():
        construction.model.head.weight.neg_()
    verification = construction.verify()
    assert not verification.exact
    assert (verification.inputs, verification.exhaustive, verification.mistakes) == (24, True, 24)
    assert verification.first == "at 3 of [0, 0, 0, 2] it says 1; right is 0"
