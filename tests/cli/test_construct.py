import pytest
import torch

from statewise.cli import main
from statewise.constructions import CONSTRUCTIONS, named
from statewise.core.state import state_bits


def test_it_says_what_the_model_is_made_of_and_that_its_answers_are_right(capsys):
    assert main(["construct", "index-lookup/attention", "--size", "2", "--settings", "alphabet=2"]) == 0
    said = capsys.readouterr().out
    for line in (
        "index-lookup/attention: one attention layer, one head, 5 = ⌈log2 k⌉ + 2·2 channels: O(log n)",
        "task          index-lookup at sizes 1 to 2",
        "made of       attention, 1 layer",
        "width         5",
        "heads         1",
        "precision     float32",
        "parameters    175",
        "state bits    640 at size 2",
        "required bits 2 of any recurrent reader that is always right; 320 times that is held",
        "checked       every input of size 2 (8), all right",
        "fails at      no size is known",
        "source        Bhattamishra et al. 2024",
    ):
        assert line in said


def test_the_numbers_are_those_of_the_model():
    model = CONSTRUCTIONS["index-lookup/attention"](2, alphabet=2).model
    assert sum(parameter.numel() for parameter in model.parameters()) == 175
    _, state = model(torch.zeros(1, 2, dtype=torch.int64))
    # The cache's counter and the next place stand apart.
    assert state_bits(state) == 640 + 2 * 64


def test_without_a_name_it_lists_what_there_is(capsys):
    assert main(["construct"]) == 0
    assert capsys.readouterr().out.split() == list(CONSTRUCTIONS)


def test_a_kept_construction_is_named(tmp_path, capsys):
    assert main(["construct", "index-lookup/attention", "--size", "2", "--save", str(tmp_path / "kept")]) == 0
    assert f"kept in {tmp_path / 'kept'}" in capsys.readouterr().out
    assert (tmp_path / "kept" / "construction.json").exists()


def test_a_model_that_errs_is_a_failure_with_its_first_mistake(monkeypatch, capsys):
    def spoiled(size):
        construction = CONSTRUCTIONS["index-lookup/attention"](size, alphabet=2)
        construction.model.head.weight.data.neg_()
        return construction

    monkeypatch.setitem(named.CONSTRUCTIONS, "spoiled", spoiled)
    assert main(["construct", "spoiled", "--size", "3"]) == 1
    assert "24 mistakes on every input of size 3 (24); at 3 of [0, 0, 0, 2] it says 1; right is 0" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["index-lookup/attention"], "construct: no size is named; index-lookup/attention is built for a largest one"),
        (["index-lookup/atention", "--size", "3"], "unknown construction 'index-lookup/atention': did you mean"),
        (["index-lookup/attention", "--size", "0"], "index-lookup/attention: size is 0; it must be at least 1"),
        (["index-lookup/attention", "--size", "3", "--examples", "0"], "construct: examples is 0"),
        (["index-lookup/attention", "--size", "3", "--settings", "alphabet"], "'alphabet' is not of the form name="),
        (
            ["index-lookup/attention", "--size", "3", "--settings", "width=4"],
            "index-lookup/attention has no setting 'width'; settings are alphabet, queries, addresses",
        ),
    ],
)
def test_what_cannot_be_built_is_one_line_and_status_2(arguments, message, capsys):
    assert main(["construct", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
