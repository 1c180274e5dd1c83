"""A mixer of the user's own on the command line, found in the working directory by every process."""

import subprocess
import sys

import pytest

from statewise.cli import main
from statewise.runs import RunStore

MODULE = """
from statewise.mixers import ScanMixer

class Leaky(ScanMixer):
    projections = 2
    def decay_and_drive(self, gate, candidate):
        return gate.sigmoid(), candidate.tanh()
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with a user's package in it."""
    (tmp_path / "our_package").mkdir()
    (tmp_path / "our_package" / "leaky.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def quick(command, *models):
    return [command, "parity", "--models", *models, "--steps", "2", "--batch-size", "4", "--sizes", "4", "--width", "4"]


@pytest.mark.slow
def test_compare_finds_the_class_in_every_worker(here):
    asked = quick("compare", "our_package.leaky.Leaky*2+attention", "gru")
    # -P: the directory is not on the path by itself, as under the script that is installed.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "statewise", *asked, "--workers", "2", "--no-page", "--seeds", "0"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "our_package.leaky.Leaky*2+attention" in done.stdout
    records = {record.config["model"]["stack"]: record for record in RunStore(here / "runs").records()}
    assert {record.status for record in records.values()} == {"finished"}
    facts = records["our_package.leaky.Leaky*2+attention"].facts
    assert (facts["recurrent"], facts["non_negative_decay"]) == (False, False)


def test_the_working_directory_is_looked_into_while_a_command_runs(here, capsys):
    before = list(sys.path)
    assert main([*quick("train", "our_package.leaky.Leaky")]) == 0
    assert "our_package.leaky.Leaky: " in capsys.readouterr().out
    assert sys.path == before


def test_what_is_installed_comes_before_the_working_directory(here, capsys, monkeypatch):
    (here / "wave.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    assert main(quick("train", "wave.Wave_read")) == 2
    assert "model 'wave.Wave_read': Wave_read is not a subclass of statewise.mixers.Mixer" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", ["train", "compare"])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("our_package.leaky.Leeky", "leaky.py has no 'Leeky': did you mean Leaky?"),
        ("our_package.leeky.Leaky", "importing our_package.leeky failed: ModuleNotFoundError: No module named"),
        ("our_package.leaky", "our_package has no 'leaky'; no mixer is in it"),
        ("collections.OrderedDict", "OrderedDict is not a subclass of statewise.mixers.Mixer"),
        ("our_package.leaky.Leaky*0", "'our_package.leaky.Leaky*0' is not a layer; write mixers joined by +"),
    ],
)
def test_a_path_that_leads_to_no_mixer_is_one_line_with_status_2(command, model, message, capsys):
    for name in [name for name in sys.modules if name.startswith("our_package")]:
        del sys.modules[name]
    assert main(quick(command, model)) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.startswith("statewise: ")
    assert said.err.count("\n") == 1
