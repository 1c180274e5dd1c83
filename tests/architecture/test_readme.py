"""What the documentation shows is run, and what it names exists."""

import re
from pathlib import Path

import pytest

from statewise.cli import COMMANDS
from statewise.mixers import MIXERS

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def code_blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_the_documentation_runs(page, capsys):
    kept = dict(MIXERS)
    for block in code_blocks(page):
        exec(compile(block, page.name, "exec"), {"__name__": "documentation"})
    MIXERS.clear()
    MIXERS.update(kept)
    if page.name == "README.md":
        bits, choice, bound, *_ = capsys.readouterr().out.splitlines()
        assert bits == "8192"
        assert choice.startswith("Choice(kernel='cpu', because='float32 on the CPU; ")
        assert bound.startswith("bits: at least 256 ")


def test_the_readme_has_code_to_run():
    assert len(code_blocks(REPOSITORY / "README.md")) >= 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_exist(page):
    text = page.read_text()
    links = re.findall(r"\]\(([\w./-]+\.\w+)\)", text)
    paths = re.findall(r"`((?:src|tests|csrc|docs|benchmarks|mixers|tasks|studies|bounds)/[\w/.-]+)`", text)
    for target in links:
        assert (page.parent / target).exists(), target
    for target in paths:
        assert any((root / target).exists() for root in (REPOSITORY, REPOSITORY / "src/statewise")), target


def test_the_map_of_the_readme_is_the_tree():
    listed = set(re.findall(r"`src/statewise/(\w+)`", (REPOSITORY / "README.md").read_text()))
    present = {path.parent.name for path in (REPOSITORY / "src/statewise").glob("*/__init__.py")}
    assert listed == present


def test_every_command_that_the_readme_types_exists():
    typed = set(re.findall(r"statewise (\w+)(?: |$)", (REPOSITORY / "README.md").read_text(), flags=re.M))
    assert set(COMMANDS) <= typed


def test_ci_runs_what_the_readme_promises():
    script = (REPOSITORY / ".ci/run").read_text()
    assert "make lint test" in script
    for target in ("demo", "test", "lint", "bench", "test-slow"):
        assert f"\n{target}:" in (REPOSITORY / "Makefile").read_text()
        assert f"make {target}" in (REPOSITORY / "README.md").read_text()
