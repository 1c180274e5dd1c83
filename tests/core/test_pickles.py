"""A pickle is known by how it begins, and never read."""

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from statewise.core.pickles import is_pickle


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol_are_known_and_not_read(protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare").write_bytes(pickle.dumps(Trap(), protocol))
    assert is_pickle(tmp_path / "bare")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("archive", [True, False])
def test_what_torch_saves_is_known(archive, tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "saved", _use_new_zipfile_serialization=archive)
    assert is_pickle(tmp_path / "saved")


def test_other_files_are_none(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "tensors")
    (tmp_path / "text").write_text("to be")
    (tmp_path / "empty").touch()
    assert not any(is_pickle(tmp_path / name) for name in ("tensors", "text", "empty", "absent", "."))
