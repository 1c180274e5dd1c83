"""What encoder–decoders score, as a table and as lines; from records alone."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from statewise.runs.record import BleuAtLength, Record, Translated, title_of_run


def bucket_name(bucket: BleuAtLength) -> str:
    """The lengths of a bucket.

    >>> bucket_name(BleuAtLength(least=9, most=None, sentences=1, bleu=0.0))
    '9 or more'
    """
    if bucket.most is None:
        return f"{bucket.least} or more"
    return f"up to {bucket.most}" if bucket.least == 0 else f"{bucket.least} to {bucket.most}"


def translation_table(records: Sequence[Record]) -> RenderableType:
    """A row for each finished run, then what the numbers are and what is missing."""
    found = [(record, result.translation, result) for record in records for result in record.results]
    scored = [(record, each, result) for record, each, result in found if each is not None]
    table = Table(box=None, pad_edge=False)
    table.add_column("model")
    names = [bucket_name(bucket) for bucket in scored[0][1].by_length] if scored else []
    for heading in ("BLEU", "chrF", "perplexity", "nats/byte", *(f"BLEU, {name}" for name in names), "train s"):
        table.add_column(heading, justify="right")
    for record, each, result in scored:
        table.add_row(
            title_of_run(record.config).partition(" · ")[2],
            f"{each.bleu:.1f}",
            f"{each.chrf:.1f}",
            f"{math.exp(result.loss):.2f}",
            f"{each.nats_per_byte:.3f}",
            *(f"{bucket.bleu:.1f}" for bucket in each.by_length),
            f"{record.training['seconds']:,.0f}",
        )
    missing = [f"{title_of_run(r.config)}: {r.status}, {r.because}" for r in records if r.status != "finished"]
    return Group(table, *notes_of([each for _, each, _ in scored]), *missing)


def notes_of(scored: Sequence[Translated]) -> Iterator[str]:
    """What the numbers are, said once for all runs that are counted alike."""
    for each in dict.fromkeys((s.bleu_signature, s.chrf_signature, s.beams, s.penalty, s.sentences) for s in scored):
        bleu, chrf, beams, penalty, sentences = each
        yield (
            f"Test part, {sentences:,} sentences, by beam search with {beams} beams and length penalty {penalty:g}. "
            "BLEU by length: words of the source."
        )
        yield f"BLEU {bleu}"
        yield f"chrF {chrf}"
    yield "Perplexity is for each piece of the reference, nats for each byte of it, both under teacher forcing."


def score_lines(found: Translated, *, perplexity: float) -> Iterator[str]:
    """One model's scores, a line each."""
    yield f"BLEU {found.bleu:.1f}   {found.bleu_signature}"
    yield f"chrF {found.chrf:.1f}   {found.chrf_signature}"
    yield f"perplexity {perplexity:.2f} for each piece; {found.nats_per_byte:.3f} nats for each byte of the target"
    for bucket in found.by_length:
        yield f"BLEU {bucket.bleu:5.1f}   {bucket_name(bucket):>10} words in the source, {bucket.sentences:,} sentences"
    yield f"{found.sentences:,} sentences, {found.beams} beams, length penalty {found.penalty:g}"
