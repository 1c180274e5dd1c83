"""statewise capacity: which strings are read back, what is kept of that, and what is said."""

import pytest

from statewise.cli import main
from statewise.runs import RunStore


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


def capacity(runs, *arguments):
    short = ["--models", "mingru", "--seeds", "0", "--steps", "2", "--workers", "1", "--no-page", "--output", str(runs)]
    return main(["capacity", "--alphabet", "4", *short, *arguments])


def kept(runs):
    (record,) = RunStore(runs).records()
    return record.config["evaluation"]["strings"], record.results


def test_all_strings_are_read_where_they_are_asked_for(runs, capsys):
    assert capacity(runs, "--sizes", "2", "5", "--strings", "all") == 0
    strings, results = kept(runs)
    assert strings is None
    assert all(result.recovered_at_least == result.recovered_bits for result in results)
    said = capsys.readouterr().out
    assert sum("exact" in line.split() for line in said.splitlines()) == 2
    assert "Exact: every string was read" in said


def test_a_number_reads_random_strings_where_there_are_more(runs, capsys):
    assert capacity(runs, "--sizes", "2", "5", "--strings", "20") == 0
    strings, (small, large) = kept(runs)
    assert strings == 20
    assert small.recovered_at_least == small.recovered_bits
    assert large.recovered_at_least < large.recovered_bits
    assert sum("exact" in line.split() for line in capsys.readouterr().out.splitlines()) == 1


def test_other_strings_make_another_run(runs):
    assert capacity(runs, "--sizes", "5", "--strings", "20") == 0
    assert capacity(runs, "--sizes", "5", "--strings", "21") == 0
    assert len(list(RunStore(runs).records())) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sizes", "4", "12", "--strings", "all"], "size 12 with alphabet 4 has 4^12 = 1.68e+7 strings"),
        (["--strings", "1"], "strings is 1; a confidence limit needs at least 2"),
        (["--strings", "0"], "strings is 0; a confidence limit needs at least 2"),
    ],
)
def test_strings_that_cannot_be_read_are_refused_before_anything_is_trained(runs, capsys, arguments, said):
    assert capacity(runs, *arguments) == 2
    assert said in capsys.readouterr().err.replace("\n", " ")
    assert not runs.exists()


def test_a_dry_run_prints_the_runs_and_trains_nothing(runs, capsys):
    assert capacity(runs, "--sizes", "2", "--dry-run") == 0
    assert "1 run: 1 not there" in capsys.readouterr().out
    assert not runs.exists()
