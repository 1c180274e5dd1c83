"""How good translations are: BLEU and chrF by sacrebleu, for all sentences and by the length of their source."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from statewise.core.optional import require
from statewise.models import EncoderDecoder
from statewise.runs.record import BleuAtLength, Translated
from statewise.studies.translation.translate import PLAIN, Search, translate
from statewise.tasks import Translation
from statewise.tasks.parallel import Pairs
from statewise.tasks.subwords import Subwords
from statewise.tasks.translation import batch_of, encoded
from statewise.training.evaluate import tally

MOST_WORDS = (8, 11, 14, 18)
"""Words of a source that the buckets end with; the last has no end. About a fifth of Multi30k's captions each."""

SENTENCES_AT_ONCE = 64


def sacrebleu() -> Any:
    """The library, or an error that names the extra: to be asked for before anything is trained."""
    return require("sacrebleu", extra="translation", purpose="BLEU and chrF")


def score_test(
    model: EncoderDecoder, task: Translation, loss: float, *, examples: int | None = None, search: Search = PLAIN
) -> Translated:
    """The model's translations of the test part, or of the first `examples` lines of it, beside the references.

    loss  in nats for each scored piece of the test part, for what is said of perplexity
    """
    sacrebleu()
    pairs = task.lines("test")
    sources, references = pairs.source[:examples], pairs.target[:examples]
    written = translate(model, task.subwords(), sources, search)
    pieces = sum(len(ids) + 1 for ids in task.subwords().encode(pairs.target))
    return score(sources, references, written, search, nats=loss * pieces / num_bytes(pairs.target))


def score(
    sources: Sequence[bytes], references: Sequence[bytes], written: Sequence[bytes], search: Search, *, nats: float
) -> Translated:
    """BLEU and chrF with their signatures, and BLEU by the words of the source.

    nats  for each byte of the references, a line's end counted as one
    """
    metrics = sacrebleu().metrics
    bleu, chrf = metrics.BLEU(), metrics.CHRF()
    said, true = texts(written), texts(references)
    words = [len(source.split()) for source in sources]
    buckets = []
    for least, most in zip((0, *(edge + 1 for edge in MOST_WORDS)), (*MOST_WORDS, None), strict=True):
        rows = [i for i, count in enumerate(words) if least <= count and (most is None or count <= most)]
        if rows:
            found = metrics.BLEU().corpus_score([said[i] for i in rows], [[true[i] for i in rows]]).score
            buckets.append(BleuAtLength(least=least, most=most, sentences=len(rows), bleu=found))
    return Translated(
        bleu=bleu.corpus_score(said, [true]).score,
        chrf=chrf.corpus_score(said, [true]).score,
        bleu_signature=str(bleu.get_signature()),
        chrf_signature=str(chrf.get_signature()),
        beams=search.beams,
        penalty=search.penalty,
        sentences=len(said),
        nats_per_byte=nats,
        by_length=tuple(buckets),
    )


class Loss(NamedTuple):
    """What a model gives to references under teacher forcing: nats for each byte, and perplexity for each piece."""

    per_byte: float
    perplexity: float


@torch.no_grad()
def nats_of(model: EncoderDecoder, subwords: Subwords, pairs: Pairs) -> Loss:
    """The loss of a model, in evaluation, over any pairs."""
    ids = encoded(pairs, subwords, whole=False)
    tallies = [
        tally(model, batch_of(ids, range(start, min(start + SENTENCES_AT_ONCE, len(ids.longest)))))
        for start in range(0, len(ids.longest), SENTENCES_AT_ONCE)
    ]
    loss = math.fsum(each.loss for each in tallies)
    return Loss(loss / num_bytes(pairs.target), math.exp(loss / sum(each.scored for each in tallies)))


def num_bytes(lines: Sequence[bytes]) -> int:
    """Bytes of some lines, the end of each counted as one."""
    return sum(len(line) + 1 for line in lines)


def texts(lines: Sequence[bytes]) -> list[str]:
    """Lines as text, what is not UTF-8 replaced: the metrics count characters and words."""
    return [line.decode(errors="replace") for line in lines]
