"""Checkpoints on disk: the last two of a run, each a safetensors file that carries its plain data and a digest of all.

    checkpoint/000000001200.safetensors      named by the step
    checkpoint/000000002400.safetensors

A file with one bit wrong is told by its digest, and the one before it is used.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from statewise.core.disk import HALF_WRITTEN, write_whole
from statewise.core.errors import RunError
from statewise.core.snapshots import digest_of_tensors
from statewise.training.checkpoint import Checkpoint

KEY, DIGEST = "statewise.checkpoint", "sha256"
FORMAT = 1
KEPT = 2


class CheckpointFiles:
    """The checkpoints in one folder, which is made with the first.

    every  seconds between two; the last one, when training has ended, comes in any case

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = CheckpointFiles(Path(folder, "checkpoint"), every=30)
    ...     files.save(Checkpoint({"a": torch.ones(2)}, {"place": {"step": 7}}))
    ...     [path.name for path in files.paths()], files.latest().tensors
    (['000000000007.safetensors'], {'a': tensor([1., 1.])})
    """

    def __init__(self, folder: Path, *, every: float) -> None:
        self.folder = folder
        self.every = every
        self.last = time.monotonic()

    def paths(self) -> list[Path]:
        """Whole files, oldest first."""
        return sorted(self.folder.glob("*.safetensors"))

    def is_due(self) -> bool:
        """Whether the time between two has gone by."""
        return time.monotonic() - self.last >= self.every

    def latest(self, *, note: Callable[[str], object] = lambda _text: None) -> Checkpoint | None:
        """The newest that is whole; None where there is none. Damaged ones are noted and removed, half-written too."""
        self._remove_half_written()
        for path in reversed(self.paths()):
            try:
                return read_checkpoint(path)
            except RunError as error:
                note(str(error))
                path.unlink()
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Write one, and remove all but the last few. What goes wrong leaves those before it as they were."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"{checkpoint.plain['place']['step']:012d}.safetensors"
        write_whole(path, lambda half: write_checkpoint(checkpoint, half))
        for old in self.paths()[:-KEPT]:
            old.unlink()
        self.last = time.monotonic()

    def clear(self) -> None:
        """Remove every checkpoint."""
        for path in self.paths():
            path.unlink()

    def _remove_half_written(self) -> None:
        for path in self.folder.glob(f"*{HALF_WRITTEN}"):
            path.unlink()


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """One file, with its digest inside."""
    plain = json.dumps({**checkpoint.plain, "format": FORMAT}, sort_keys=True)
    tensors = unshared(checkpoint.tensors)
    save_file(tensors, path, metadata={KEY: plain, DIGEST: digest_of_tensors(tensors, plain)})


def read_checkpoint(path: Path) -> Checkpoint:
    """What `write_checkpoint` wrote. A file that is torn, altered or not ours is a RunError that says so."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dictionary
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise RunError(f"checkpoint {path} is damaged: {error}") from None
    if KEY not in metadata or metadata.get(DIGEST) != digest_of_tensors(tensors, metadata[KEY]):
        raise RunError(f"checkpoint {path} is damaged: its contents do not have its digest")
    plain = json.loads(metadata[KEY])
    if plain.pop("format") != FORMAT:
        raise RunError(f"checkpoint {path} is of another version of statewise")
    return Checkpoint(tensors, plain)


def unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors on the CPU, no two of which share memory, as tied weights do: safetensors refuses those."""
    seen: set[int] = set()
    own = {}
    for name, tensor in tensors.items():
        here = tensor.detach().cpu().contiguous()
        own[name] = here.clone() if here.data_ptr() in seen else here
        seen.add(own[name].data_ptr())
    return own
