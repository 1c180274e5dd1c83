"""Nothing is downloaded, and nothing draws bars."""

import pytest
from transformers.utils import logging


@pytest.fixture(autouse=True)
def _quiet_and_offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    logging.disable_progress_bar()
