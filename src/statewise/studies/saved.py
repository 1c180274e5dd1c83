"""Opening whatever was saved."""

from dataclasses import dataclass
from pathlib import Path

from statewise.constructions import Construction, load_construction
from statewise.constructions.saved import CONSTRUCTION
from statewise.core.errors import RunError, UsageError
from statewise.models import Model, load_model
from statewise.runs import Record, read_record
from statewise.runs.on_disk import MODEL, RECORD
from statewise.studies.run_config import RunConfig


@dataclass(frozen=True)
class SavedRun:
    """A run folder opened: what was asked, what came out, and the trained model."""

    config: RunConfig
    record: Record
    model: Model


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
    return SavedRun(config, record, load_model(path / MODEL))
