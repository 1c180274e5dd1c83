"""Lines of text through an encoder–decoder, by beam search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from statewise.core.errors import UsageError
from statewise.models import EncoderDecoder, beam_search
from statewise.models.encoder_decoder import BEGIN, END, PAD, within_sentences
from statewise.tasks.subwords import Subwords

SENTENCES = 32
"""At a time, each with its beams."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """How a translation is looked for.

    beams    hypotheses that are followed at a time; 1 takes the likeliest piece every time
    penalty  power of the length that log-probabilities are divided by, so that short ones are not preferred
    """

    beams: int = 4
    penalty: float = 1.0

    def __post_init__(self) -> None:
        if self.beams < 1 or not self.penalty >= 0:
            raise UsageError(
                f"translate: beams is {self.beams} and penalty is {self.penalty}; beams must be at least 1 and the "
                "penalty at least 0"
            )


PLAIN = Search()


def translate(
    model: EncoderDecoder,
    subwords: Subwords,
    lines: Sequence[bytes],
    search: Search = PLAIN,
    *,
    note: Callable[[int], object] = lambda done: None,
) -> list[bytes]:
    """A translation of every line, in order; an empty line stays empty.

    A translation has at most three pieces for each of its source, and ten more; with learned positions no more than
    there are, and a source that has more is a UsageError that names its line.

    note  is told how many lines are done, now and then
    """
    sources = [[*ids, END] for ids in subwords.encode(lines)]
    check_lengths(model, sources)
    written = [b""] * len(lines)
    order = sorted((i for i in range(len(lines)) if lines[i]), key=lambda i: len(sources[i]))
    was_training = model.training
    model.eval()
    for start in range(0, len(order), SENTENCES):
        places = order[start : start + SENTENCES]
        for place, ids in zip(places, translate_ids(model, [sources[i] for i in places], search), strict=True):
            written[place] = subwords.decode(ids)
        note(start + len(places))
    model.train(was_training)
    return written


@torch.no_grad()
def translate_ids(model: EncoderDecoder, sources: Sequence[list[int]], search: Search) -> list[tuple[int, ...]]:
    """The best hypothesis for each source, as ids."""
    lengths = torch.tensor([len(source) for source in sources])
    padded = torch.full((len(sources), int(lengths.max())), PAD)
    for row, source in zip(padded, sources, strict=True):
        row[: len(source)] = torch.tensor(source)
    longest = 3 * lengths + 10
    if (places := model.config.max_length) is not None:
        longest = longest.clamp(max=places)
    found = beam_search(
        model.step,
        model.read(padded),
        longest,
        begin=BEGIN,
        end=END,
        beams=search.beams,
        penalty=search.penalty,
        reorder=within_sentences,
    )
    return [hypotheses[0].tokens for hypotheses in found]


def check_lengths(model: EncoderDecoder, sources: Sequence[list[int]]) -> None:
    """Raise a UsageError where a source has more pieces than the model has learned positions."""
    most = model.config.max_length
    for number, source in enumerate(sources, 1):
        if most is not None and len(source) > most:
            raise UsageError(
                f"translate: line {number} has {len(source)} pieces, its end included; the model has learned positions "
                f"for {most}"
            )
