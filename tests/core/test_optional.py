"""Optional packages: there, absent, or broken."""

import pytest

from statewise.core.errors import MissingExtraError
from statewise.core.optional import require


def test_a_package_that_is_there_is_imported():
    import json

    assert require("json", extra="report", purpose="figures") is json


def test_an_absent_package_names_its_purpose_and_its_extra():
    message = r"^figures needs no_such_package, which is not installed: pip install 'statewise\[report\]'$"
    with pytest.raises(MissingExtraError, match=message):
        require("no_such_package", extra="report", purpose="figures")
    with pytest.raises(MissingExtraError, match="figures needs no_such_package, "):
        require("no_such_package.inner", extra="report", purpose="figures")


def test_a_package_that_lacks_its_own_requirement_is_not_called_absent(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import no_such_requirement\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_requirement") as caught:
        require("needs_more", extra="report", purpose="figures")
    assert not isinstance(caught.value, MissingExtraError)
