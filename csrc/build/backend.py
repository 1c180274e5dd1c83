"""The build backend: scikit-build-core, after asking for a C++ compiler in one line.

CMake reports a missing compiler over a page, after pip has fetched the build tools. Every hook of
PEP 517 and PEP 660 starts by listing its requirements, so that is where the question is asked.
"""

import os
import shutil
import sys

from scikit_build_core import build as _scikit
from scikit_build_core.build import (
    build_editable as build_editable,
)
from scikit_build_core.build import (
    build_sdist as build_sdist,
)
from scikit_build_core.build import (
    build_wheel as build_wheel,
)
from scikit_build_core.build import (
    get_requires_for_build_sdist as get_requires_for_build_sdist,
)
from scikit_build_core.build import (
    prepare_metadata_for_build_editable as prepare_metadata_for_build_editable,
)
from scikit_build_core.build import (
    prepare_metadata_for_build_wheel as prepare_metadata_for_build_wheel,
)

Settings = dict[str, list[str] | str] | None

NO_COMPILER = (
    "statewise needs a C++17 compiler and found none: install g++ (Debian, Ubuntu: apt install g++; "
    "Fedora: dnf install gcc-c++; macOS: xcode-select --install) or point CXX at one"
)


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    require_compiler()
    return _scikit.get_requires_for_build_wheel(config_settings)


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    require_compiler()
    return _scikit.get_requires_for_build_editable(config_settings)


def require_compiler() -> None:
    """End the build unless CXX or one of the usual names is on the path; CMake finds MSVC by itself."""
    asked = os.environ.get("CXX", "").split()[:1]
    if sys.platform != "win32" and not any(map(shutil.which, asked or ["c++", "g++", "clang++"])):
        sys.exit(NO_COMPILER)
