"""What a newcomer sees: the default comparison, and a language model trained for seconds."""

import re
from pathlib import Path

import pytest

from statewise.cli import main
from statewise.report import summarise
from statewise.runs import RunStore

SHAKESPEARE = Path(__file__).parents[3] / "shared/data/tinyshakespeare.txt"

pytestmark = pytest.mark.slow


def test_the_default_comparison_shows_both_sides(tmp_path, capsys):
    assert main(["compare", "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    verdicts = {
        (row.task.name, row.stack, row.size): row.verdict.kind
        for row in summarise(list(RunStore(tmp_path).records())).rows
    }
    for size in (16, 64, 192):
        assert verdicts["index-lookup", "attention", size] == "solved"
    for model in ("mingru", "gru"):
        assert verdicts["index-lookup", model, 192] == "cannot"
    for size in (16, 64, 256):
        assert verdicts["parity", "gru", size] == "solved"
    for model in ("attention", "mingru"):
        assert verdicts["parity", model, 256] != "solved"
    assert "No run is missing: 18 of 18 finished." in said
    assert (tmp_path / "report.html").stat().st_size > 10_000


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="the corpus is not in this checkout")
def test_a_language_model_learns_english_spelling_in_half_a_minute(tmp_path, capsys):
    arguments = ["train", "text", "--file", str(SHAKESPEARE), "--models", "mingru", "--time", "30s"]
    assert main([*arguments, "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    (result,) = (record.results[0] for record in RunStore(tmp_path).records())
    # Bytes by their frequency alone cost 3.3 nats, by the one before 2.45.
    assert result.loss < 2.2
    assert re.search(r"[\d,]+ tokens/s in training", said)
