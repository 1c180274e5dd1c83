"""statewise construct: a theorem as a model, with its weights written down and its answers checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from statewise.bounds.of_task import REQUIRED, required_bits
from statewise.cli.console import console
from statewise.constructions import CONSTRUCTIONS, Construction, Verification, build, save
from statewise.core.errors import UsageError
from statewise.core.settings import parse_settings
from statewise.report import Marker
from statewise.studies.execute import state_bits_at_cut

EXAMPLES_FOR_A_MARKER = 64


@dataclass(frozen=True, kw_only=True)
class Construct:
    """Build a model whose weights are written down, check its answers, and say what it is made of.

    Without a name: what there is.
    """

    name: Positional[str | None] = None
    """As in index-lookup/attention."""
    size: int | None = None
    """Largest size that it is to be exact for."""
    settings: tuple[str, ...] = ()
    """Settings of the construction as name=value, as in alphabet=4."""
    examples: int = 512
    """Examples to check where inputs are too many to list."""
    save: Path | None = None
    """Folder to keep it in: `statewise.load` opens it, and its model.safetensors loads like any trained model."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        out = console()
        if self.name is None:
            for name in CONSTRUCTIONS:
                out.print(name, markup=False)
            return 0
        if self.size is None:
            raise UsageError(f"construct: no size is named; {self.name} is built for a largest one: --size 16")
        if self.examples < 1:
            raise UsageError(f"construct: examples is {self.examples}; it must be at least 1")
        construction = build(self.name, self.size, **parse_settings(self.settings, where=self.name))
        verification = construction.verify(examples=self.examples)
        out.print(f"{construction.name}: {construction.claim}", soft_wrap=True, markup=False)
        for label, text in facts(construction, verification):
            out.print(f"  {label:<14}{text}", soft_wrap=True, markup=False)
        if self.save is not None:
            out.print(f"kept in {save(construction, self.save)}", soft_wrap=True, markup=False)
        return 0 if verification.exact else 1


def facts(construction: Construction, verification: Verification) -> Iterator[tuple[str, str]]:
    """What a construction is made of and what it answered: pairs of a label and a text."""
    config, task, size = construction.model.config, construction.task, verification.size
    yield "task", f"{task.title} at sizes {construction.sizes[0]} to {construction.sizes[1]}"
    yield "made of", f"{config.stack}, {len(config.layers)} layer{'s' if len(config.layers) > 1 else ''}"
    yield "width", f"{config.width:,}"
    yield "heads", heads(construction)
    yield "precision", str(construction.precision).removeprefix("torch.")
    yield "parameters", f"{construction.parameters:,}"
    held = state_bits(construction, size)
    yield "state bits", f"{held:,} at size {size}"
    if type(task) in REQUIRED:
        required = required_bits(task, size).value
        ratio = f"{held / required:,.3g} times that is held" if required else "none"
        yield "required bits", f"{required:,.4g} of any recurrent reader that is always right; {ratio}"
    yield "checked", checked(construction, verification)
    yield "fails at", "no size is known" if construction.fails_at is None else f"size {construction.fails_at}"
    yield "source", construction.source


def markers(size: int) -> Iterator[Marker]:
    """Every construction that is right at a size, with the bits of its state and those that its task requires.

    Constructions over vectors have none: bits are not defined there.
    """
    for name in CONSTRUCTIONS:
        construction = build(name, size)
        if type(construction.task) in REQUIRED and construction.verify(size, examples=EXAMPLES_FOR_A_MARKER).exact:
            required = required_bits(construction.task, size).value
            yield Marker(name, size, state_bits(construction, size), required)


def heads(construction: Construction) -> str:
    """Heads of the layers that have some."""
    mixers: list[Any] = [block.mixer for block in construction.model.blocks]
    counts = {mixer.width // mixer.head_size for mixer in mixers if hasattr(mixer, "head_size")}
    return ", ".join(map(str, sorted(counts))) or "none"


def state_bits(construction: Construction, size: int) -> int:
    """Bits carried for one sequence after the task's cut, position counters not included."""
    return state_bits_at_cut(construction.model, construction.task, size, seed=0)[0]


def checked(construction: Construction, verification: Verification) -> str:
    """What was asked and how it was answered."""
    asked = f"{'every input' if verification.exhaustive else 'random inputs'} of size {verification.size}"
    asked += f" ({verification.inputs:,})"
    if not verification.exact:
        return f"{verification.mistakes:,} mistakes on {asked}; {verification.first}"
    if construction.task.measure == "squared error":
        return f"{asked}, off by at most {verification.worst:.2g} of the largest target"
    return f"{asked}, all right"
