"""States on disk: a safetensors file with a tensor for each of the state's, by its path.

    blocks.0.mixer.hidden    blocks.0.conv.window    position

Complex numbers are written as pairs of real ones: the format has no complex128.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from statewise.core.errors import RunError, UsageError
from statewise.core.pickles import is_pickle
from statewise.core.state import S, State, map_state, named_leaves, spoken

KEY = "statewise.state"


def save_state(state: State, path: str | Path, *, about: Mapping[str, str] | None = None) -> None:
    """Write a state to `path`: values, shapes and dtypes, and neither history nor device.

    about  texts by name, that `read_about` gives back
    """
    tensors = {name: leaf.detach().cpu().resolve_conj().resolve_neg() for name, leaf in named_leaves(state)}
    dtypes = {name: dtype_name(leaf) for name, leaf in tensors.items()}
    # Copies: safetensors refuses tensors that share memory, as the parts of one projection may.
    plain = {name: as_real(leaf).clone(memory_format=torch.contiguous_format) for name, leaf in tensors.items()}
    save_file(plain, path, metadata={**(about or {}), KEY: json.dumps(dtypes)})


def read_about(path: str | Path) -> dict[str, str]:
    """What `save_state` was told to write about a state. A file that is missing, damaged or not ours is a RunError."""
    read(Path(path))
    with safe_open(path, framework="pt") as file:
        return {name: text for name, text in file.metadata().items() if name != KEY}


def load_state(path: str | Path, like: S) -> S:
    """The state that `save_state` wrote, in the structure of `like` and on its devices.

    like  a state of the same model and batch: its `initial_state(batch_size)`. An axis that is empty in it,
          batch aside, is a cache before its first token, and may have any length in the file

    Another structure, shape or dtype is a UsageError with both; a file that is missing, damaged or not ours is
    a RunError.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     save_state((torch.ones(2, 3), ()), file.name)
    ...     load_state(file.name, like=(torch.zeros(2, 3), ()))[0].sum()
    tensor(6.)
    """
    found, wanted = read(Path(path)), dict(named_leaves(like))
    if found.keys() != wanted.keys():
        raise UsageError(
            f"{path} holds a state of another structure.\n  in the file  {spoken(sorted(found))}\n"
            f"  needed       {spoken(sorted(wanted))}"
        )
    for name, leaf in wanted.items():
        if found[name].dtype != leaf.dtype or not fits(found[name], leaf):
            raise UsageError(
                f"{path}: {name} does not fit.\n  in the file  {tuple(found[name].shape)} {found[name].dtype}\n"
                f"  needed       {tuple(leaf.shape)} {leaf.dtype}"
            )
    in_order = iter(wanted)
    return map_state(lambda leaf: found[next(in_order)].to(leaf.device), like)


def fits(found: Tensor, like: Tensor) -> bool:
    """Whether the shapes agree, where any number of cached tokens may stand for none."""
    cached = (like.shape[axis] == 0 < axis for axis in range(like.ndim))
    return found.ndim == like.ndim and all(
        size == wanted or grows for size, wanted, grows in zip(found.shape, like.shape, cached, strict=True)
    )


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, complex ones made complex again.

    Each is copied into memory of torch's own while its numbers are real. A file aligns to 8 bytes: there a matrix
    product may add in another order, and a complex128, which is read 16 bytes at a time, ends the process.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if KEY not in metadata:
                raise RunError(f"{path} is a safetensors file without a state of statewise")
            dtypes = json.loads(metadata[KEY])
            if not isinstance(dtypes, dict):
                raise RunError(f"{path} does not hold a whole state: its dtypes are a {type(dtypes).__name__}")
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  not a dict
    except FileNotFoundError:
        raise RunError(f"there is no state file {path}") from None
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        why = "it is a pickle, which can run any program when it is read" if is_pickle(path) else error
        raise RunError(f"{path} does not hold a whole state: {why}") from None
    return {
        name: torch.view_as_complex(tensor) if dtypes.get(name, "").startswith("complex") else tensor
        for name, tensor in tensors.items()
    }


def digest_of_tensors(tensors: Mapping[str, Tensor], plain: str) -> str:
    """SHA-256 of a text and of every tensor's name, dtype, shape and bytes, in hex."""
    total = hashlib.sha256(plain.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        # A copy: one number of a wider tensor counts as contiguous, and keeps strides that no view of bytes takes.
        own = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        total.update(own.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def as_real(leaf: Tensor) -> Tensor:
    """A complex tensor as pairs (…, 2) of real numbers; any other as it is."""
    return torch.view_as_real(leaf) if leaf.is_complex() else leaf


def dtype_name(leaf: Tensor) -> str:
    """The dtype without torch's prefix.

    >>> dtype_name(torch.zeros(1))
    'float32'
    """
    return str(leaf.dtype).removeprefix("torch.")
