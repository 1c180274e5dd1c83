"""A build without a compiler says so in one line, before anything is fetched."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BACKEND = Path(__file__).parents[2] / "csrc/build"
HOOKS = ["get_requires_for_build_wheel", "get_requires_for_build_editable"]


def call(hook, **environment):
    program = f"import sys; sys.path.insert(0, {str(BACKEND)!r}); import backend; print(backend.{hook}())"
    return subprocess.run(
        [sys.executable, "-c", program],
        env={key: value for key, value in os.environ.items() if key != "CXX"} | environment,
        cwd=BACKEND.parents[1],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("hook", HOOKS)
def test_without_a_compiler_the_build_ends_in_one_line(hook, tmp_path):
    done = call(hook, PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("statewise needs a C++17 compiler and found none: install g++ (")
    assert done.stderr.count("\n") == 1


def test_a_cxx_that_is_not_there_counts_as_none():
    assert "found none" in call(HOOKS[0], CXX="no-such-compiler -O2").stderr


@pytest.mark.parametrize("hook", HOOKS)
def test_with_a_compiler_the_build_goes_on(hook, tmp_path):
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    done = call(hook, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
