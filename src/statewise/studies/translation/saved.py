"""A translator opened from its run folder: the model, and the vocabulary that it was trained with."""

from pathlib import Path

from statewise.core.errors import RunError, UsageError
from statewise.models import EncoderDecoder
from statewise.runs.on_disk import TOKENIZER
from statewise.studies.saved import SavedRun, load
from statewise.tasks.subwords import Subwords


def open_translator(folder: Path) -> tuple[EncoderDecoder, Subwords]:
    """Both. A folder that is no run of `translate train` is a UsageError, a vocabulary that does not fit a RunError."""
    saved = load(folder)
    if not isinstance(saved, SavedRun) or not isinstance(saved.model, EncoderDecoder):
        raise UsageError(f"translate: {folder} is not a run that was trained on parallel text")
    subwords = Subwords.load(folder / TOKENIZER)
    if len(subwords) != saved.model.config.vocabulary:
        raise RunError(
            f"{folder / TOKENIZER} has {len(subwords):,} pieces, and the model beside it "
            f"{saved.model.config.vocabulary:,}: it is not the one that the model was trained with"
        )
    return saved.model.eval(), subwords
