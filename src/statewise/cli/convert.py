"""statewise convert: a model from one of the formats that are known into a folder of another."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from statewise.cli.console import console
from statewise.constructions.saved import CONSTRUCTION
from statewise.core.errors import UsageError, pick
from statewise.core.pickles import REFUSED, is_pickle
from statewise.models import LanguageModel, load_rwkv, save_model
from statewise.runs.on_disk import CONFIG, RECORD, TOKENIZER
from statewise.studies import SavedRun, load

TARGETS = {
    "hf": "a folder of Hugging Face, of statewise's own model class",
    "native": "a folder with statewise's model.safetensors",
    "mamba": "transformers' Mamba",
    "mamba2": "transformers' Mamba-2",
    "recurrent_gemma": "transformers' RecurrentGemma",
    "xlstm": "transformers' xLSTM",
}


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Write a model in another format. The source is recognised; the destination is whole or not there at all.

    Sources are a folder of Hugging Face with safetensors (of statewise, Mamba, Mamba-2, RecurrentGemma or xLSTM), a
    file of rwkv.cpp (RWKV-4 or RWKV-7), a run folder and a model.safetensors of statewise. Nothing is downloaded.
    Needs the extra `hf`.
    """

    source: Annotated[Path, tyro.conf.Positional]
    """What to convert: a folder or a file."""
    destination: Annotated[Path, tyro.conf.Positional]
    """A folder that is not there yet, or is empty."""
    to: str = "hf"
    """hf: AutoModelForCausalLM opens it after `import statewise.hf`. native: statewise's model.safetensors. mamba,
    mamba2, recurrent_gemma, xlstm: transformers' own classes, for a stack that is one of theirs."""
    dtype: str | None = None
    """Of the weights that are written: float32, bfloat16, float16; default that of the source."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        from statewise.hf.folders import quiet_pipes, save_pretrained, with_dtype, write_folder

        quiet_pipes()
        pick("format", self.to, TARGETS)
        model, tokens, files = read_source(self.source)
        if self.dtype is not None:
            model = with_dtype(model, self.dtype)
        if self.to == "native":
            write_folder(self.destination, lambda half: save_model(model, half / "model.safetensors"))
        else:
            save_pretrained(as_target(model, self.to, tokens), self.destination, beside=files)
        count = sum(parameter.numel() for parameter in model.parameters())
        out = console()
        out.print(f"{self.destination}: {TARGETS[self.to]}, {count:,} parameters, stack {model.config.stack}")
        if self.to == "hf":
            out.print("Open it with: import statewise.hf; AutoModelForCausalLM.from_pretrained(…)", soft_wrap=True)
        return 0


def as_target(model: LanguageModel, target: str, tokens: dict[str, Any]) -> Any:
    """The model in a class of transformers."""
    from statewise.hf import StatewiseForCausalLM
    from statewise.hf.converting import to_transformers

    if target == "hf":
        return StatewiseForCausalLM.of(model, **tokens)
    return to_transformers(model, target, **tokens)


def read_source(source: Path) -> tuple[LanguageModel, dict[str, Any], list[Path]]:
    """The model of a source of any kind, its special tokens and its tokenizer's files, where it has some."""
    from statewise.hf.folders import architecture_of, opened

    if not source.exists():
        raise UsageError(
            f"convert: there is nothing at {source}, and nothing is downloaded; fetch the model first, as with "
            f"`hf download {source} --local-dir FOLDER`, and name that folder"
        )
    if source.is_dir() and architecture_of(source) is not None:
        return opened(source)
    refuse_torn(source)
    if source.is_file() and source.suffix != ".safetensors":
        refuse_pickle(source)
        return load_rwkv(source), {}, []
    saved = load(source)
    model = saved.model if isinstance(saved, SavedRun) else getattr(saved, "model", saved)
    if not isinstance(model, LanguageModel):
        raise UsageError(f"convert: {source} holds a {type(model).__name__}; only models over token ids convert")
    has_tokenizer = isinstance(saved, SavedRun) and (source / TOKENIZER).exists()
    return model, {}, [source / TOKENIZER] if has_tokenizer else []


def refuse_torn(source: Path) -> None:
    """Raise a UsageError for a folder that is nothing of ours, and whose config.json does not say what it is."""
    if (source / CONFIG).is_file() and not any((source / name).exists() for name in (RECORD, CONSTRUCTION)):
        raise UsageError(
            f"convert: {source / CONFIG} does not say what model it is of: it must be JSON with a model_type, as "
            "save_pretrained writes it"
        )


def refuse_pickle(file: Path) -> None:
    """Raise a UsageError for what torch.save wrote: reading it can run any program."""
    if is_pickle(file):
        raise UsageError(f"convert: {file} {REFUSED} (save_pretrained does) and name that folder")
