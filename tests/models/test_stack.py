import pytest

from statewise.models import parse_stack


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
