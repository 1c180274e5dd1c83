"""The needle test: which models answer where, what is said of it, and what cannot be asked."""

import math
import re
from dataclasses import replace

import pytest
import torch

from search.scripted import Scripted
from statewise.cli.needle import Needle
from statewise.core.errors import UsageError
from statewise.models import LanguageModel
from statewise.report.needle import NeedleLine, needle_cells
from statewise.runs import RunStore
from statewise.studies.needle import CONTENDERS, Answers, NeedleTest, answers_of
from statewise.tasks import from_identity
from statewise.tasks.needle import QUESTION

QUICK = Needle(lengths=(64, 100), train_lengths=(64,), steps=2, width=4, batch_size=2, examples=10, workers=1)


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "document.txt"
    path.write_text("A text that says nothing of marks, again and again.\n" * 400)
    return str(path)


def runs_of(**settings):
    """A run of each model, by name."""
    asked = NeedleTest(**settings)
    return {contender.name: asked.runs(contender)[0] for contender in CONTENDERS}


class Reader(LanguageModel):
    """Answers right where the fact stands in the later part of the document, and with a byte that is no letter else."""

    def __init__(self, least):
        super().__init__(vocabulary=256, width=1, stack="mingru", feed_forward=0)
        self.least = least

    def forward(self, tokens, state=None, *, reset=None):
        rows = [bytes(row) for row in tokens.tolist()]
        places = [row.find(row[-QUESTION:]) for row in rows]
        late = [place >= self.least * (len(rows[0]) - QUESTION - 23) for place in places]
        said = [row[place + QUESTION] if is_late else 0 for row, place, is_late in zip(rows, places, late, strict=True)]
        logits = torch.zeros(*tokens.shape, 256)
        logits[range(len(said)), -1, said] = 1
        return logits, super().forward(tokens)[1]


@pytest.mark.parametrize(("least", "by_depth"), [(0, (1, 1, 1, 1, 1)), (0.4, (0, 0, 1, 1, 1)), (0.8, (0, 0, 0, 0, 1))])
def test_answers_at_once_are_counted_where_the_fact_stands(document, least, by_depth):
    found = answers_of(Reader(least), runs_of(file=document)["recurrent"], 200, examples=150)
    assert found.by_depth == by_depth
    assert len(found.depths) == len(found.right) == 150
    assert (found.state_bits, found.searched_bits) == (32, 0)


@pytest.mark.parametrize("least", [0, 0.6])
def test_answers_after_a_search_are_counted_where_the_fact_stands(document, least):
    run = runs_of(file=document)["recurrent + search"]
    task, length = from_identity(run.task), 200

    def write(row, prompt):
        """The solver's trace where the fact stands late, and a search without an end where it does not."""
        place = next(i for i in range(len(prompt)) if prompt[i : i + QUESTION] == prompt[-QUESTION:])
        trace = task.page(prompt, length).tokens[len(prompt) :]
        return trace if place >= least * (length - 23) else trace[:2]

    found = answers_of(Scripted(write, task.vocabulary(length)), run, length, examples=100)
    assert found.by_depth == tuple(float(fifth >= 5 * least) for fifth in range(5))
    assert found.searched_bits == (length + QUESTION + 10) * 9


def test_every_seed_and_every_document_is_another(document):
    runs = NeedleTest(file=document, seeds=(0, 1)).runs(CONTENDERS[0])
    zero, one = (answers_of(Reader(0), run, 200, examples=70) for run in runs)
    assert not torch.equal(zero.depths, one.depths)
    assert len(zero.depths.unique()) > 35


def test_a_fact_at_the_very_end_stands_in_the_last_fifth():
    found = Answers(torch.tensor([0.0, 1.0]), torch.tensor([False, True]), 0, 0).by_depth
    assert (found[0], found[4]) == (0, 1)
    assert all(math.isnan(each) for each in found[1:4])


def test_there_are_four_models_and_their_runs_differ(document):
    runs = runs_of(file=document, stack="mingru+gru")
    assert {name: (run.task["name"], run.model.stack) for name, run in runs.items()} == {
        "recurrent": ("needle", "mingru+gru"),
        "recurrent + search": ("retrieval", "mingru+gru"),
        "recurrent + attention": ("needle", "mingru+gru+attention"),
        "recurrent + attention + search": ("retrieval", "mingru+gru+attention"),
    }
    assert len({run.name for run in runs.values()}) == 4


def test_every_model_is_trained_asked_and_kept(document, tmp_path, capsys):
    asked = replace(QUICK, file=document, seeds=(0, 1), output=tmp_path / "runs")
    assert asked.run() == 0
    said = capsys.readouterr().out
    for contender in CONTENDERS:
        assert len(re.findall(rf"^ {re.escape(contender.name)}  ", said, re.MULTILINE)) == 2
        assert f"{contender.name}, seed 1: 2 steps in" in said
    assert len(re.findall(r"search +64 .* 846 *$", said, re.MULTILINE)) == 2
    assert "Guessing gives 3.8 %" in said
    assert f"from the first nine tenths of {document}" in said
    assert len(list(RunStore(tmp_path / "runs").records())) == 8
    assert asked.run() == 0
    again = capsys.readouterr()
    assert again.err.count("finished earlier, kept") == 8
    assert again.out == said


def test_runs_that_did_not_finish_are_named(document, tmp_path, capsys):
    asked = replace(QUICK, file=document, learning_rate=1e30, steps=60, train_lengths=(31,), output=tmp_path)
    asked.run()
    said = capsys.readouterr().out
    assert said.count("diverged, and is left out") == 4
    assert not re.search(r"^ recurrent", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lengths": ()}, "needle: there are no lengths; name at least one"),
        ({"seeds": (1, 1)}, "needle: seeds are named twice in 1 1"),
        ({"steps": 0}, "needle: steps is 0; it must be at least 1"),
        ({"examples": 0}, "needle: examples is 0; it must be at least 1"),
        ({"lengths": (30,)}, "needle: size is 30; it must be at least 31, for one fact and a quarter of text"),
        ({"file": "none.txt"}, "text: there is no file none.txt"),
        (
            {"stack": "mingru+attention"},
            "needle: stack is 'mingru+attention', and attention is not recurrent; name recurrent layers alone: "
            "attention is put on top of them for two of the models",
        ),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_trained(settings, message, tmp_path):
    with pytest.raises(UsageError) as error:
        replace(QUICK, output=tmp_path / "runs", **settings).run()
    assert str(error.value) == message
    assert not (tmp_path / "runs").exists()


def test_a_fifth_in_which_no_seed_was_asked_is_a_dash():
    nothing = float("nan")
    line = NeedleLine(
        model="recurrent",
        length=1024,
        by_depth=((1.0, nothing, nothing), (0.0, 0.5, nothing)),
        overall=(0.5, 0.5),
        state_bits=16384,
        searched_bits=0,
    )
    assert needle_cells(line) == ["recurrent", "1,024", "50.0 ±635.3", "50.0", "–", "50.0 ±0.0", "16,384", "–"]
