"""Models over vectors keep the laws of models over ids."""

import pytest
import torch

from statewise.core import UsageError
from statewise.core.random import seeded
from statewise.models import LanguageModel, ModelConfig, VectorModel, build_model, load_model, save_model
from statewise.testing import assert_close


def build(**settings):
    with seeded(0):
        return VectorModel(**{"channels": (3, 2), "width": 6, **settings}).double()


def vectors(*shape, seed=0):
    return torch.randn(*shape, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("settings", [{}, {"positions": "learned", "max_length": 9}, {"norm": "none"}])
@pytest.mark.parametrize("stack", ["gated-lru", "linear-attention+attention"])
def test_forward_is_step_by_step_and_can_be_cut(stack, settings):
    model = build(stack=stack, **settings)
    read = vectors(2, 8)
    answers, _ = model(read)
    assert answers.shape == (2, 8, 2)
    left, state = model(read[:, :5])
    assert_close("left", left, answers[:, :5])
    for t in range(5, 8):
        step, state = model.step(read[:, t], state)
        assert_close(f"step {t}", step, answers[:, t])


def test_a_reset_starts_anew():
    model = build(stack="mingru")
    reset = torch.zeros(1, 8, dtype=torch.bool)
    reset[0, 3] = True
    packed = model(vectors(1, 8), reset=reset)[0]
    assert_close("after", packed[:, 3:], model(vectors(1, 8)[:, 3:])[0])


def test_it_is_saved_and_loaded_as_itself(tmp_path):
    model = build(stack="gated-lru").float()
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    assert isinstance(loaded, VectorModel)
    read = vectors(2, 8).float()
    assert torch.equal(loaded(read)[0], model(read)[0])


def test_the_configuration_says_which_model_is_built():
    assert isinstance(build_model(ModelConfig(channels=(4, 1))), VectorModel)
    assert isinstance(build_model(ModelConfig(vocabulary=4)), LanguageModel)


@pytest.mark.parametrize(
    ("tokens", "found"),
    [
        (torch.zeros(2, 5, 4), r"\(batch, time, 3\).\n  tokens  \(2, 5, 4\) torch.float32"),
        (torch.zeros(2, 3), r"tokens  \(2, 3\) torch.float32"),
        (torch.zeros(2, 5, 3, dtype=torch.int64), r"tokens  \(2, 5, 3\) torch.int64"),
    ],
)
def test_tokens_of_another_kind_are_refused(tokens, found):
    with pytest.raises(UsageError, match=found):
        build()(tokens)


def test_a_step_takes_one_vector_a_sequence():
    model = build()
    with pytest.raises(UsageError, match=r"floats of shape \(batch, 3\).\n  tokens  \(2, 5, 3\)"):
        model.step(vectors(2, 5), model.initial_state(2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "model: vocabulary is 0; it must be at least 1"),
        ({"channels": (3,)}, r"channels is \(3,\); where tokens are vectors the vocabulary is 0, and channels are two"),
        ({"channels": (3, 0)}, r"channels is \(3, 0\)"),
        ({"channels": (3, 2), "vocabulary": 5}, "vocabulary is 5 and channels is"),
    ],
)
def test_channels_and_vocabulary_exclude_each_other(settings, message):
    with pytest.raises(UsageError, match=message):
        ModelConfig(**settings)


def test_each_class_names_the_other():
    with pytest.raises(UsageError, match=r"LanguageModel: channels is \(3, 2\); .* VectorModel"):
        LanguageModel(channels=(3, 2))
    with pytest.raises(UsageError, match=r"VectorModel: channels is None and vocabulary is 5; .* LanguageModel"):
        VectorModel(vocabulary=5)
