"""Every module, public class, function, method and command says what it is."""

import ast
import dataclasses
from pathlib import Path

import pytest

import statewise
from statewise.cli import COMMANDS

ROOT = Path(statewise.__file__).parent
REPOSITORY = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("**/*.py"))
INHERITED = {"__init__", "__enter__", "__exit__", "__post_init__"}


def undocumented(tree: ast.Module) -> list[str]:
    """Public definitions without a docstring, by line."""
    missing = [] if ast.get_docstring(tree) else ["the module"]
    holders = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_")]
    for holder in holders:
        for node in holder.body:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if named and node.name not in INHERITED and not ast.get_docstring(node):
                missing.append(f"line {node.lineno}: {node.name}")
    return missing


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_public_is_documented(path):
    assert not undocumented(ast.parse(path.read_text()))


def test_a_missing_docstring_is_seen():
    tree = ast.parse("class A:\n    def f(self): ...\ndef _g(): ...")
    assert undocumented(tree) == ["the module", "line 1: A", "line 2: f"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_is_documented(name):
    command = COMMANDS[name]
    assert command.__doc__
    assert f"statewise {name}" in (REPOSITORY / "README.md").read_text()
    sources = [
        ast.parse(Path(ROOT / f"{cls.__module__.removeprefix('statewise.').replace('.', '/')}.py").read_text())
        for cls in command.__mro__
        if cls.__module__.startswith("statewise")
    ]
    documented = {name for tree in sources for name in documented_fields(tree)}
    assert {field.name for field in dataclasses.fields(command)} <= documented


def documented_fields(tree: ast.Module) -> set[str]:
    """Annotated fields that a string follows."""
    found = set()
    for holder in ast.walk(tree):
        if isinstance(holder, ast.ClassDef):
            for field, after in zip(holder.body, holder.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr):
                    found.add(field.target.id)
    return found


def test_functions_stay_short_enough_to_read():
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.body[0].end_lineno > 60
    ]
    assert not long


def test_files_stay_one_idea():
    assert not [path for path in FILES if len(path.read_text().splitlines()) > 400]
