"""Opening whatever was saved."""

from dataclasses import dataclass
from pathlib import Path

from statewise.constructions import Construction, load_construction
from statewise.constructions.saved import CONSTRUCTION
from statewise.core.errors import RunError, UsageError
from statewise.models import Model, load_model
from statewise.runs import Record, read_record
from statewise.runs.on_disk import MODEL, RECORD, TOKENIZER
from statewise.studies.run_config import RunConfig
from statewise.tasks.tokens import BytePairs, ByteTokens, Tokens


@dataclass(frozen=True)
class SavedRun:
    """A run folder opened: what was asked, what came out, and the trained model.

    tokens  what spells the text that the model was trained on; None for other tasks
    """

    config: RunConfig
    record: Record
    model: Model
    tokens: Tokens | None = None


def load(path: str | Path) -> SavedRun | Construction | Model:
    """Open a run folder, a construction's folder, or a model file.

    A run folder gives a `SavedRun` with `config`, `record` and `model`, one that `construct --save` wrote a
    `Construction`; a `.safetensors` file gives the `LanguageModel`, `VectorModel` or `EncoderDecoder`. A path that is
    not there is a UsageError; what is neither, is damaged, or is a run without weights is a RunError.
    """
    path = Path(path)
    if path.is_file():
        return load_model(path)
    if (path / CONSTRUCTION).exists():
        return load_construction(path)
    if not path.exists():
        raise UsageError(f"there is nothing at {path}: name a run folder or a .safetensors file")
    if not (path / RECORD).exists():
        runs = [folder.name for folder in sorted(path.glob("*")) if (folder / RECORD).exists()]
        hint = f"; the runs in it are {', '.join(runs[:5])}" if runs else ""
        raise RunError(f"{path} holds no {RECORD}, so it is not a run folder{hint}")
    record = read_record(path)
    if record.status != "finished":
        raise RunError(f"{path} is a run that {record.status}, so it has no model: {record.because}")
    config = RunConfig.from_plain(record.config, where=str(path / RECORD))
    return SavedRun(config, record, load_model(path / MODEL), tokens_of(path, config))


def tokens_of(folder: Path, config: RunConfig) -> Tokens | None:
    """What spells the text of a run; None where its task is none.

    A tokenizer.json that is missing, or that is another than the model was trained with, is a RunError.
    """
    if config.task["name"] != "text":
        return None
    wanted = config.task.get("tokenizer_sha256")
    if wanted is None:
        return ByteTokens()
    path = folder / TOKENIZER
    if not path.exists():
        raise RunError(
            f"{folder} holds no {TOKENIZER}, which its model reads text with; put back the one it was trained with"
        )
    tokens = BytePairs.from_file(path)
    if tokens.sha256 != wanted or tokens.vocabulary != config.model.vocabulary:
        raise RunError(
            f"{path} is another tokenizer than the model was trained with: {tokens.vocabulary} tokens, SHA-256 "
            f"{tokens.sha256[:12]}…; needed are {config.model.vocabulary}, {wanted[:12]}…: put that one back"
        )
    return tokens
