import pytest

from statewise.core import UsageError
from statewise.models import LanguageModel, parse_stack


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("mingru", ("mingru",)),
        ("mingru*2", ("mingru", "mingru")),
        ("mingru+attention", ("mingru", "attention")),
        ("statewise.mixers.gru.GRU*2+gru", ("statewise.mixers.gru.GRU", "statewise.mixers.gru.GRU", "gru")),
        ("mingru*2 + attention + gru*1", ("mingru", "mingru", "attention", "gru")),
    ],
)
def test_stacks_are_read_bottom_first(text, names):
    assert parse_stack(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "mingru++attention",
        "mingru*",
        "mingru*0",
        "mingru*-1",
        "2*mingru",
        "minGRU",
        ".GRU",
        "gru.",
        "a..B",
        "a.2B",
    ],
)
def test_a_malformed_stack_is_refused_with_the_form(text):
    with pytest.raises(ValueError, match="is not a layer; write mixers joined by") as caught:
        parse_stack(text)
    assert repr(text) in str(caught.value)


def test_an_unknown_mixer_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="unknown model 'minrgu': did you mean mingru"):
        parse_stack("minrgu*2")


def test_mixers_are_given_the_settings_that_they_take():
    model = LanguageModel(vocabulary=5, width=12, stack="mingru+attention", mixer_settings=("head_size=4", "window=3"))
    assert (model.blocks[1].mixer.head_size, model.blocks[1].mixer.window) == (4, 3)


def test_a_setting_that_no_mixer_takes_is_refused_with_those_that_are_taken():
    message = "mingru attention takes no 'heads'; settings are activation, expansion, head_size, kv_heads, pos"
    with pytest.raises(UsageError, match=message):
        LanguageModel(vocabulary=5, width=12, stack="mingru+attention*2", mixer_settings=("heads=4",))
    with pytest.raises(UsageError, match="mixer settings: setting 'heads' is not of the form name=value"):
        LanguageModel(vocabulary=5, width=12, mixer_settings=("heads",))
