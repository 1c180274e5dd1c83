"""Ray without its talk: nothing is sent home, and nothing but errors is logged."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0"}

LISTENER = "ray_listen_error_messages"
"""The thread that prints what nodes say of lost workers, on standard output. The executor says it in its own words."""


@contextmanager
def quiet() -> Iterator[None]:
    """A context for a session of Ray, which leaves logging, the environment and signals as they were."""
    logger = logging.getLogger("ray")
    level, before = logger.level, {name: os.environ.get(name) for name in SETTINGS}
    in_main = threading.current_thread() is threading.main_thread()
    terminate = signal.getsignal(signal.SIGTERM)
    os.environ.update(SETTINGS)
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stdout(Muffled(sys.stdout)):
            yield
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        if in_main:
            signal.signal(signal.SIGTERM, terminate)


class Muffled:
    """A stream that takes everything, and passes on what does not come from Ray's listener."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write, unless it is the listener that does."""
        if threading.current_thread().name == LISTENER:
            return len(text)
        written: int = self.stream.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
