"""docs/tasks.md says what the tasks are."""

import re
from pathlib import Path

import pytest

from statewise.bounds import required_bits
from statewise.tasks import TASKS

PAGE = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
ROWS = {row[0]: row[1:] for row in re.findall(r"^\| `([a-z-]+)` \| .* \| (\d+) \| ([\d.]+|–) \|$", PAGE, re.M)}


def test_every_task_is_on_the_page():
    assert list(ROWS) == list(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_the_page_counts_tokens_and_bits_as_they_are(name):
    task = TASKS[name]()
    bits = f"{required_bits(task, 16).value:.1f}" if task.measure == "accuracy" else "–"
    assert ROWS[name] == (str(task.length(16)), bits)
