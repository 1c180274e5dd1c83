"""What models write, beside what the corpus says: the same prompt, the same seed, as many bytes."""

import time
from pathlib import Path
from typing import NamedTuple

from statewise.models import ModelConfig
from statewise.models.sampling import Sampling
from statewise.studies.saved import SavedRun, load
from statewise.studies.writing import writer_of
from statewise.tasks import Text

PROMPT, LENGTH = 256, 1000
"""Tokens of the prompt, and bytes that are written after it."""


class Excerpt(NamedTuple):
    """A prompt from the beginning of the test split, and how the corpus goes on."""

    prompt: bytes
    text: bytes


class Sample(NamedTuple):
    """What a model wrote after the prompt, and how fast."""

    text: bytes
    tokens_per_second: float


def excerpt_of(task: Text) -> Excerpt:
    """The beginning of the test split; of a short corpus less than PROMPT tokens and LENGTH bytes."""
    ids = task.beginning("test", PROMPT + LENGTH)
    prompt = min(PROMPT, max(1, len(ids) // 4))
    spelled = task.tokens().decode
    return Excerpt(spelled(ids[:prompt]), spelled(ids[prompt:])[:LENGTH])


def sample_of(folder: Path, excerpt: Excerpt, *, seed: int) -> Sample:
    """What the model of a run writes after the prompt, drawn from its own distribution."""
    saved = load(folder)
    assert isinstance(saved, SavedRun)
    writer = writer_of(saved, Sampling(), seed=seed)
    room = room_in(writer.decoder.model.config)
    writer.read([excerpt.prompt if room is None else excerpt.prompt[max(0, len(excerpt.prompt) - room // 2) :]])
    limit = len(excerpt.text) if room is None else max(1, min(len(excerpt.text), room - room // 2))
    text, count, begun = b"", 0, time.perf_counter()
    for piece in writer.write(limit):
        text, count = text + piece, count + 1
        if len(text) >= len(excerpt.text):
            break
    return Sample(text[: len(excerpt.text)], count / max(time.perf_counter() - begun, 1e-9))


def room_in(config: ModelConfig) -> int | None:
    """How many tokens a model can read and write; None where there is no end."""
    return config.max_length
