"""The table's cells, titles and sentences, word for word."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from statewise.report import conclusions, render, summarise
from statewise.report.table import cells, headings, rows_by_task, table_of, title_of
from statewise.runs.record import FreeRunning
from statewise.search import Retrieval
from statewise.tasks import AssociativeRecall, IndexLookup, Parity, Text


def said(summary):
    console = Console(width=140, file=io.StringIO())
    console.print(render(summary))
    return console.file.getvalue()


def test_the_cells_of_a_row_stand_under_their_headings(record):
    made = [
        record(IndexLookup(alphabet=64), "gru", 0, [(256, 0.5, 0.25, 2048)]),
        record(IndexLookup(alphabet=64), "gru", 1, [(256, 0.6, 0.25, 2048)]),
    ]
    (row,) = summarise(made).rows
    assert dict(zip(headings(row.task), cells(row), strict=True)) == {
        "model": "gru",
        "size": "256",
        "token acc. %": "55.0 ±63.5",
        "sequence acc. %": "25.0 ±0.0",
        "solved": "0/2",
        "recovered bits": "3 ±0",
        "state bits": "2,048",
        "required bits": "1,536",
        "verdict": "has room, did not learn",
        "train s": "2.5",
    }


def test_the_cells_without_a_rule_are_about_the_loss(record):
    (row,) = summarise([record(Text(), "gru", 0, [(64, 0.4, 0.0, 1024)])]).rows
    assert dict(zip(headings(row.task), cells(row), strict=True)) == {
        "model": "gru",
        "size": "64",
        "nats per token": "0.500",
        "token acc. %": "40.0",
        "state bits": "1,024",
        "train s": "2.0",
    }


def test_a_title_has_the_settings_and_what_guessing_gives():
    assert title_of(IndexLookup(alphabet=4), [8]) == "index-lookup (alphabet 4, queries 1; chance 25.0 %)"
    assert title_of(Text(file="book", sha256="0123"), [8]) == "text (file book)"


def test_tasks_of_one_name_and_other_settings_have_their_own_rows(record):
    tasks = [IndexLookup(alphabet=4), IndexLookup(alphabet=8)]
    summary = summarise([record(task, "gru", 0, [(8, 0.5, 0.0, 64)]) for task in tasks])
    assert [(task, [row.task for row in rows]) for task, rows in rows_by_task(summary)] == [
        (task, [task]) for task in tasks
    ]


def test_a_line_parts_the_models(record):
    made = [record(Parity(), name, 0, [(8, 0.5, 0.0, 64), (16, 0.5, 0.0, 64)]) for name in ("gru", "mingru")]
    table = table_of(Parity(), list(summarise(made).rows))
    assert [row.end_section for row in table.rows] == [False, True, False, True]


def test_verdicts_have_their_colour(records):
    task, rows = next(rows_by_task(summarise(records)))
    *_, verdicts, _ = table_of(task, rows).columns
    assert [str(span.style) for text in verdicts.cells for span in text.spans] == ["green", "green", "red"]


@pytest.mark.parametrize("name", ["[bold]", "[/b]", "a[red]b"])
def test_brackets_are_shown_as_they_are(record, name):
    made = [
        record(Parity(), name, 0, [(8, 0.5, 0.0, 64)]),
        record(Text(file=f"{name}.txt", sha256="0"), "gru", 0, [(8, 0.5, 0.0, 64)]),
        record(Parity(), "gru", 0, [], status="crashed", because=f"ValueError: {name}!"),
    ]
    text = said(summarise(made))
    assert text.count(name) == 3
    assert f"(file {name}.txt)" in text
    assert f"1 of 3 runs are missing:\n  parity · gru · rate 0.005 · seed 0: crashed, ValueError: {name}!" in text


def test_the_best_size_of_a_text_is_the_one_of_least_loss(record):
    made = record(Text(), "gru", 0, [(size, 0.4, 0.0, 1024) for size in (16, 32, 64)])
    results = [replace(result, loss=loss) for result, loss in zip(made.results, (2.0, 1.25, 1.5), strict=True)]
    summary = summarise([replace(made, results=tuple(results))])
    assert conclusions(summary) == ["text: gru reaches 1.250 nats per token at size 32."]


def test_what_a_proof_says_of_all_lengths_is_said_though_short_ones_were_solved(record):
    (line,) = conclusions(
        summarise([record(Parity(), "mingru", 0, [(8, 1.0, 1.0, 64), (64, 0.5, 0.0, 64)])])
    )  # fmt: skip
    assert line == (
        "parity: mingru solves size 8; learning rate tried there, with sequence accuracy on the validation split: "
        "0.005 (0.0 %); it has room for size 64 and did not learn it; a proof says that no stack of its kind is right "
        "at all lengths. Proof for all lengths: Sarrof et al. 2024, arXiv 2405.17394, Thm 2; Grazzi et al. 2025, "
        "arXiv 2411.12537, Thm 1."
    )


def test_a_proof_about_linear_recurrences_is_not_held_against_a_gru(record):
    (line,) = conclusions(summarise([record(Parity(), "gru", 0, [(64, 0.5, 0.0, 64)])]))
    assert line == (
        "parity: gru solves no size; learning rate tried there, with sequence accuracy on the validation split: "
        "0.005 (0.0 %); it has room for size 64 and did not learn it."
    )


def freely(record, accuracy):
    """The record with what the model does on its own."""
    shares = {"accuracy": accuracy, "unanswered": 0.1, "forced": 1.0}
    free = FreeRunning(**shares, calls=1.0, tokens=9.0, state_bits=64, searched_bits=99, sequences=9)
    return replace(record, results=tuple(replace(result, free=free) for result in record.results))


def test_step_by_step_answers_run_freely_come_first_and_decide(record):
    task = Retrieval(AssociativeRecall(keys=8, values=4))
    made = [freely(record(task, "gru", seed, [(4, 0.5, 0.0, 64)]), 1.0) for seed in range(3)]
    summary = summarise(made)
    assert dict(zip(headings(task), cells(summary.rows[0]), strict=True)) == {
        "model": "gru",
        "size": "4",
        "answer acc. %": "100 ±0.0",
        "token acc. %": "50.0 ±0.0",
        "sequence acc. %": "0.0 ±0.0",
        "solved": "3/3",
        "recovered bits": "–",
        "state bits": "64",
        "required bits": "–",
        "verdict": "solved",
        "train s": "3.0",
    }
    assert title_of(task, [4]) == "associative-recall-by-retrieval (keys 8, values 4; chance 25.0 %)"
    assert "Answers: run freely, from the prompt alone" in said(summary)
    assert conclusions(summary)[0] == "associative-recall-by-retrieval: gru solves size 4."


def test_step_by_step_wrong_answers_are_no_solution_though_teacher_forcing_is_right(record):
    made = [freely(record(Retrieval(IndexLookup()), "gru", 0, [(4, 1.0, 1.0, 64)]), 0.5)]
    (row,) = summarise(made).rows
    assert (row.solved, row.verdict.text) == (0, "did not learn, no bound is proved")


def test_without_such_tasks_nothing_is_said_of_running_freely(records):
    assert "Answers: run freely" not in said(summarise(records))
