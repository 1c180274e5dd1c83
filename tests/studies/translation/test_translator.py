"""Translators as runs: what is kept, what is scored, and that lines come out as they went in."""

import math
import shutil
from dataclasses import replace

import pytest

from statewise.core.errors import RunError, UsageError
from statewise.core.events import Evaluated, Tee
from statewise.models import EncoderDecoder, LanguageModel, save_model
from statewise.runs import RunStore
from statewise.studies import RunConfig, load
from statewise.studies.execute import execute
from statewise.studies.threads import threads
from statewise.studies.translation.plan import ParallelTraining
from statewise.studies.translation.saved import open_translator
from statewise.studies.translation.scores import MOST_WORDS, nats_of, score, score_test
from statewise.studies.translation.translate import Search, translate
from statewise.tasks import from_identity
from statewise.tasks.subwords import Subwords

sacrebleu = pytest.importorskip("sacrebleu")
pytest.importorskip("tokenizers")

WORDS = {"dog": "Hund", "cat": "Katze", "man": "Mann", "sees": "sieht", "likes": "mag"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    names = list(WORDS)[:3]
    lines = [f"{a} {v} {b}" for a in names for v in ("sees", "likes") for b in names] * 12
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{s}\t{' '.join(WORDS[w] for w in s.split())}\n" for s in lines))
    return str(path)


def asked(corpus, **settings):
    plan = ParallelTraining(
        **{"source": corpus, "models": ("mingru",), "width": 16, "pieces": 300, "steps": 2, "batch_size": 8} | settings
    )
    return plan.plan()


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """A run of a few steps: its folder and its record."""
    (run,) = asked(corpus, steps=10)
    store = RunStore(tmp_path_factory.mktemp("runs"))
    with threads(1):
        record = execute(run, store, Tee())
    return store.root / record.name, record


def test_a_run_keeps_its_vocabulary_and_its_scores(trained):
    folder, record = trained
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "events.jsonl", "model.safetensors", "record.json", "tokenizer.json",
    }  # fmt: skip
    (result,) = record.results
    found = result.translation
    task, (model, _) = from_identity(record.config["task"]), open_translator(folder)
    again = score_test(model, task, result.loss)
    assert again == found
    assert found.sentences == 22
    assert found.bleu_signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a")
    assert [(each.least, each.most, each.sentences) for each in found.by_length] == [(0, MOST_WORDS[0], 22)]
    assert (RunConfig.from_plain(record.config, where="record").name, record.facts["recurrent"]) == (record.name, True)
    assert load(folder).record == record


def test_the_loss_of_the_record_is_the_loss_of_the_saved_model(trained):
    folder, record = trained
    model, subwords = open_translator(folder)
    loss = nats_of(model, subwords, from_identity(record.config["task"]).lines("test"))
    (result,) = record.results
    assert loss.perplexity == pytest.approx(math.exp(result.loss), rel=1e-4)
    assert loss.per_byte == pytest.approx(result.translation.nats_per_byte, rel=1e-4)


def test_lines_come_out_in_order_and_empty_ones_stay_empty(trained):
    model, subwords = open_translator(trained[0])
    lines, told = [b"dog sees the cat", b"", b"man", b"cat sees dog \xff\xfe", b"dog"], []
    written = translate(model, subwords, lines, note=told.append)
    assert written == [translate(model, subwords, [line])[0] for line in lines]
    assert written[1] == b""
    assert len(set(written)) > 1
    assert told == [4]
    assert translate(model, subwords, [], Search(beams=1)) == []


@pytest.mark.slow
@pytest.mark.parametrize(("bridge", "steps"), [("attention", 300), ("state", 800)])
def test_a_few_sentences_are_learned(corpus, tmp_path, bridge, steps):
    (run,) = asked(corpus, bridge=(bridge,), width=32, steps=steps, batch_size=32, learning_rate=1e-2, dropout=0.0)
    execute(run, RunStore(tmp_path), Tee())
    model, subwords = open_translator(tmp_path / run.name)
    assert translate(model, subwords, [b"dog sees cat", b"man likes man"]) == [b"Hund sieht Katze", b"Mann mag Mann"]


def test_scores_are_those_of_sacrebleu_and_buckets_those_of_their_sentences():
    sources = [b"w " * count for count in (3, 8, 9, 30)]
    references = [b"the cat sat on the mat now", b"a dog ran over the field", b"x y z w v u", b"\xff is no text at all"]
    written = [b"the cat sat on a mat now", b"a dog ran over the field", b"x y q w v u", b"\xff is no text at all"]
    found = score(sources, references, written, Search(), nats=1.0)
    said, true = ([line.decode(errors="replace") for line in lines] for lines in (written, references))
    assert found.bleu == sacrebleu.corpus_bleu(said, [true]).score
    assert found.chrf == sacrebleu.corpus_chrf(said, [true]).score
    assert [(each.least, each.most, each.sentences) for each in found.by_length] == [
        (0, 8, 2),
        (9, 11, 1),
        (19, None, 1),
    ]
    assert found.by_length[0].bleu == sacrebleu.corpus_bleu(said[:2], [true[:2]]).score


class Interrupting:
    def write(self, event):
        if isinstance(event, Evaluated) and event.step == 4:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_to_the_same_bits(corpus, tmp_path):
    (run,) = asked(corpus, steps=6, dropout=0.2)
    run = replace(run, training=replace(run.training, evaluate_every=2, validation=4))
    whole, broken = RunStore(tmp_path / "whole"), RunStore(tmp_path / "broken", checkpoint_every=0)
    execute(run, whole, Tee())
    with pytest.raises(KeyboardInterrupt):
        execute(run, broken, Interrupting())
    record = execute(run, broken, Tee())
    assert record.training["resumed_at"] == [3]
    files = [store.root / run.name / "model.safetensors" for store in (whole, broken)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_vocabulary_that_does_not_fit_and_a_folder_that_is_no_translator(trained, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(trained[0], folder)
    Subwords.trained([b"a"], vocabulary=260).save(folder / "tokenizer.json")
    with pytest.raises(
        RunError, match=r"tokenizer.json has \d+ pieces, and the model beside it \d+: it is not the one"
    ):
        open_translator(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UsageError, match=r"tokenizer\.json cannot be read: No such file"):
        open_translator(folder)
    save_model(LanguageModel(vocabulary=9, width=4), folder / "model.safetensors")
    with pytest.raises(UsageError, match="is not a run that was trained on parallel text"):
        open_translator(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models": ()}, "translate: models are none; name each once"),
        ({"bridge": ("state", "state")}, "translate: bridge are state state; name each once"),
        ({"bridge": ("tunnel",)}, "unknown bridge 'tunnel'"),
        ({"models": ("attention",), "bridge": ("state",)}, "has no final state of one size"),
        ({"models": ("mingro",)}, "unknown model 'mingro'"),
        ({"pieces": 9}, "vocabulary is 9; it must be at least 260"),
        ({"size": 1}, "no training pair has at most 1 pieces"),
        ({"target": "absent.de"}, "absent.de cannot be read"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
    ],
)
def test_what_cannot_be_asked_says_why_before_anything_is_trained(corpus, settings, message):
    with pytest.raises(UsageError, match=message) as error:
        asked(corpus, **settings)
    assert "\n" not in str(error.value)


def test_learned_positions_are_enough_for_longer_lines_and_too_long_ones_are_named(corpus):
    (run,) = asked(corpus, models=("attention",), positions="learned", size=8)
    assert run.model.max_length == 32
    model = EncoderDecoder(vocabulary=300, width=8, stack="attention", positions="learned", max_length=4)
    subwords = Subwords.trained([b"a"], vocabulary=260)
    with pytest.raises(
        UsageError, match="line 2 has 8 pieces, its end included; the model has learned positions for 4"
    ):
        translate(model, subwords, [b"a", b"b c d e"])


@pytest.mark.parametrize(("beams", "penalty"), [(0, 1.0), (1, -0.5)])
def test_searches_that_cannot_be(beams, penalty):
    with pytest.raises(UsageError, match=f"beams is {beams} and penalty is {penalty}"):
        Search(beams=beams, penalty=penalty)
