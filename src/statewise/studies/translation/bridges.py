"""translation-bridges: what a decoder loses that sees the encoder's final state alone, by the length of the sentence.

Not a table of one paper: its claim is of several, and our own numbers stand beside none.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from statewise.core.errors import UsageError
from statewise.runs.findings import Chart, Curve, Findings, Grid, Published, Quantity
from statewise.runs.record import Translated
from statewise.studies.run_config import RunConfig
from statewise.studies.study import TOO_SHORT, Study, Trained
from statewise.studies.translation.plan import ParallelTraining

NAME = "translation-bridges"

NEEDED = (
    f"{NAME}: it trains on parallel text, and none is named; name a folder that holds train.en.gz, train.de.gz, "
    "val.en.gz, val.de.gz, test_2016_flickr.en.gz and test_2016_flickr.de.gz (Multi30k), or a file with a tab between "
    "source and target in each line: --parallel PATH"
)
MADE_UP = Path(__file__).with_name("made_up.tsv")
"""A few sentences, for the scale that trains nothing for long enough."""

PARTS = {"": "train", "validation_": "val", "test_": "test_2016_flickr"}


@dataclass(frozen=True, kw_only=True)
class Model:
    """One line of the table: a stack for both halves, and the bridge."""

    title: str
    stack: str
    bridge: str


MODELS = tuple(
    Model(title=f"{title}, bridge {bridge}", stack=stack, bridge=bridge)
    for title, stack, bridges in (
        ("minGRU", "mingru", ("attention", "state")),
        ("GRU", "gru", ("attention", "state")),
        ("Transformer", "attention", ("attention",)),
    )
    for bridge in bridges
)
"""A Transformer has no final state of one size, so it has one bridge."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large the models and their training are."""

    layers: int
    width: int
    pieces: int
    batch_size: int
    dropout: float
    rate: float
    steps: int
    examples: int | None


SCALES = {
    "smoke": Scale(layers=1, width=8, pieces=300, batch_size=2, dropout=0.1, rate=1e-3, steps=2, examples=2),
    "small": Scale(layers=2, width=128, pieces=4000, batch_size=64, dropout=0.0, rate=4e-3, steps=3000, examples=None),
    "paper": Scale(
        layers=3, width=256, pieces=8000, batch_size=128, dropout=0.3, rate=2e-3, steps=20_000, examples=None
    ),
}


def runs_of(scale: str, file: str | None, model: Model) -> list[RunConfig]:
    """One line of the table: one seed."""
    asked = SCALES[scale]
    plan = ParallelTraining(
        **files_of(scale, file),
        models=(f"{model.stack}*{asked.layers}",),
        bridge=(model.bridge,),
        pieces=asked.pieces,
        width=asked.width,
        dropout=asked.dropout,
        steps=asked.steps,
        batch_size=asked.batch_size,
        learning_rate=asked.rate,
    ).plan()
    return [replace(run, evaluation=replace(run.evaluation, examples=asked.examples)) for run in plan]


def files_of(scale: str, file: str | None) -> dict[str, Any]:
    """The files of a folder of Multi30k, or one of pairs; at `smoke` without any, a few made-up sentences."""
    if file is None:
        if scale != "smoke":
            raise UsageError(NEEDED)
        return {"source": str(MADE_UP)}
    if not Path(file).is_dir():
        return {"source": file}
    sides = {"source": "en", "target": "de"}
    return {
        f"{prefix}{side}": f"{file}/{part}.{language}.gz"
        for prefix, part in PARTS.items()
        for side, language in sides.items()
    }


def plan(scale: str, *, file: str | None = None) -> list[RunConfig]:
    """Every model, the slow ones first."""
    return [run for model in reversed(MODELS) for run in runs_of(scale, file, model)]


def read(scale: str, trained: Trained, *, file: str | None = None) -> Findings:
    """BLEU of every model, in all and by the length of the source."""
    found = {model.title: scores_of(scale, trained, file, model) for model in MODELS}
    scored = {title: each for title, each in found.items() if each is not None}
    return Findings(
        quantities=tuple(
            Quantity(
                name=f"{what}, {title}",
                values=() if each is None else (getattr(each, field),),
                incomparable=TOO_SHORT if scale == "smoke" else "",
            )
            for title, each in found.items()
            for what, field in (("BLEU", "bleu"), ("chrF", "chrf"), ("nats per byte", "nats_per_byte"))
        )
        + tuple(gap_of(stack, found, scale) for stack in ("minGRU", "GRU")),
        charts=(chart_of(scored),),
        grids=(grid_of(scored),),
        notes=(*NOTES, *signatures(scored), *trained.missing()),
    )


def gap_of(stack: str, found: dict[str, Translated | None], scale: str) -> Quantity:
    """How much more BLEU the bridge of states costs in the longest sentences than in the shortest."""
    attention, state = (found[f"{stack}, bridge {bridge}"] for bridge in ("attention", "state"))
    values: tuple[float, ...] = ()
    if attention is not None and state is not None:
        lost = [each.bleu - other.bleu for each, other in zip(attention.by_length, state.by_length, strict=True)]
        values = (lost[-1] - lost[0],)
    return Quantity(
        name=f"BLEU lost by bridge state, longest less shortest, {stack}",
        values=values,
        published=Published(known="from memory", words="grows with the length", low=0.0),
        incomparable=TOO_SHORT if scale == "smoke" else "",
    )


def scores_of(scale: str, trained: Trained, file: str | None, model: Model) -> Translated | None:
    """What the model's run scored; None where it did not finish."""
    for run in trained.finished(runs_of(scale, file, model)):
        (result,) = trained.record(run).results
        return result.translation
    return None


def grid_of(scored: dict[str, Translated]) -> Grid:
    """BLEU by words of the source: a row for each model."""
    first = next(iter(scored.values()), None)
    headings = [] if first is None else [f"{words_of(b.least, b.most)} ({b.sentences})" for b in first.by_length]
    return Grid(
        title="BLEU by the words of the source (sentences)",
        headings=("model", *headings, "all"),
        rows=tuple(
            (title, *(f"{bucket.bleu:.1f}" for bucket in each.by_length), f"{each.bleu:.1f}")
            for title, each in scored.items()
        ),
    )


def words_of(least: int, most: int | None) -> str:
    """A range of lengths.

    >>> words_of(0, 8), words_of(19, None)
    ('to 8', '19 on')
    """
    if most is None:
        return f"{least} on"
    return f"{least} to {most}" if least else f"to {most}"


def chart_of(scored: dict[str, Translated]) -> Chart:
    """BLEU against the words of the source, each bucket at its end, the last a half further."""
    return Chart(
        name="length",
        title="What crosses, by the length of the sentence",
        x_label="words of the source, at most (the last bucket has no end)",
        y_label="BLEU",
        linear=True,
        curves=tuple(
            Curve(
                label=title,
                points=tuple((float(bucket.most or 1.5 * bucket.least), (bucket.bleu,)) for bucket in each.by_length),
            )
            for title, each in scored.items()
        ),
    )


def signatures(scored: dict[str, Translated]) -> tuple[str, ...]:
    """How BLEU and chrF were counted."""
    return tuple(
        dict.fromkeys(
            text for each in scored.values() for text in (f"BLEU {each.bleu_signature}", f"chrF {each.chrf_signature}")
        )
    )


NOTES = (
    "One seed: differences of a point or two are within what another seed moves.",
    "Both halves have the same stack. Beam search with 4 beams, scores divided by the length; nothing is chosen on the "
    "test part.",
)


def study_of(file: str | None) -> Study:
    """The study of some parallel text."""
    return Study(
        name=NAME,
        claim="A decoder that sees only the encoder's final state translates long sentences worse than one that "
        "attends to every token of the source.",
        source="Cho et al. 2014, arXiv 1409.1259, and Bahdanau et al. 2015, arXiv 1409.0473, §5.2, in words, from "
        "memory; no value of theirs is of this data",
        times={"small": "70 min on two cores, expected from a few steps", "smoke": "20 s"},
        plan=partial(plan, file=file),
        read=partial(read, file=file),
        with_corpus=study_of,
        corpus="parallel",
        one_seed="five models at 30 minutes each",
    )


STUDY = study_of(None)
