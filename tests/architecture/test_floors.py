"""Imports point down: the table of the house, imports inside functions included."""

import ast
from pathlib import Path

import pytest

import statewise

PACKAGE = "statewise"
ROOT = Path(statewise.__file__).parent
BELOW_STUDIES = {"core", "ops", "tasks", "bounds", "runs", "mixers", "models", "capacity", "search"}
BELOW_STUDIES |= {"constructions", "training"}

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "ops": {"core", "_kernels"},
    "tasks": {"core"},
    "bounds": {"core", "tasks"},
    "runs": {"core"},
    "mixers": {"core", "ops"},
    "nn": {"core", "ops", "mixers"},
    "models": {"core", "ops", "mixers"},
    "hf": {"core", "mixers", "models"},
    "capacity": {"core", "tasks", "bounds", "models"},
    "search": {"core", "tasks", "models"},
    "constructions": {"core", "tasks", "bounds", "mixers", "models", "search"},
    "training": {"core", "tasks", "models", "capacity", "search"},
    "studies": BELOW_STUDIES,
    "report": {"core", "tasks", "bounds", "runs"},
    "testing": {"core", "ops", "mixers", "tasks"},
    "cli": BELOW_STUDIES | {"studies", "report", "testing", "hf"},
}

EXTENSION = "_kernels"
"""The compiled module: not a package, and nobody's but ops'."""

OPTIONAL = {
    "triton",
    "fla",
    "transformers",
    "ray",
    "duckdb",
    "matplotlib",
    "jinja2",
    "markupsafe",
    "plotly",
    "re2",
    "bm25s",
    "tensorboard",
    "tokenizers",
    "datasets",
    "pyarrow",
    "sacrebleu",
}
HOMES = {"triton": "ops/triton", "transformers": "hf"}
"""Folders that are imported only after `require` has asked, and may then name the package."""


def imports_of(path: Path) -> set[tuple[str, ...]]:
    """Every module that a file imports, as dotted parts; `from a import b` counts as a.b."""
    here = [PACKAGE, *path.relative_to(ROOT).parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            stem = here[: -node.level] if node.level else []
            stem = stem + (node.module.split(".") if node.module else [])
            found |= {(*stem, alias.name) for alias in node.names}
    return found


def packages_of(path: Path) -> set[str]:
    return {parts[1] for parts in imports_of(path) if parts[0] == PACKAGE and len(parts) > 1}


def test_the_plan_has_no_loops():
    seen: set[str] = set()
    for package, allowed in MAY_IMPORT.items():
        assert allowed - {EXTENSION} <= seen, f"{package} is allowed to import upwards: {allowed - seen}"
        seen.add(package)


def test_every_package_is_on_the_plan():
    present = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert present == set(MAY_IMPORT)


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/**/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    owner = path.relative_to(ROOT).parts[0]
    strays = packages_of(path) - {owner} - MAY_IMPORT[owner]
    assert not strays, f"{owner} may not import {sorted(strays)}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("**/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_optional_packages_are_asked_for_by_require(path):
    at_home = {name for name, home in HOMES.items() if path.is_relative_to(ROOT / home)}
    direct = {parts[0] for parts in imports_of(path)} & OPTIONAL - at_home
    assert not direct, f"{sorted(direct)}: import it with core.optional.require, which names the extra"


def test_a_stray_import_inside_a_function_is_seen(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    stray = tmp_path / "ops" / "stray.py"
    stray.parent.mkdir()
    stray.write_text(
        "def f():\n    from statewise import models\n    from ..mixers import gru\n    import statewise.cli.main\n"
    )
    assert packages_of(stray) == {"models", "mixers", "cli"}
