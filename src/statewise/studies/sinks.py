"""Sinks that are asked for by name: TensorBoard's, and those of the user's own by a dotted path."""

from collections.abc import Sequence
from typing import Any

from statewise.core.dotted import described, import_dotted, is_dotted
from statewise.core.errors import UsageError
from statewise.core.listeners import SinkMaker
from statewise.core.optional import require
from statewise.studies.tensorboard import TensorBoard


def chosen_sinks(paths: Sequence[str], *, tensorboard: bool) -> tuple[SinkMaker, ...]:
    """Makers of the sinks that are asked for. A path that leads to none and an extra that is absent are UsageErrors.

    >>> chosen_sinks((), tensorboard=False)
    ()
    """
    if tensorboard:
        require(
            "tensorboard", extra="tensorboard", purpose="writing for TensorBoard (leave it out with --no-tensorboard)"
        )
    own = tuple(import_sink(path) for path in paths)
    return (*own, TensorBoard) if tensorboard else own


def import_sink(path: str) -> SinkMaker:
    """The class, or the function that makes sinks, at my_module:MySink. Whatever fails is a UsageError of one line.

    >>> import_sink("statewise.studies.tensorboard:TensorBoard").__name__
    'TensorBoard'
    """
    where = f"sink {path!r}"
    if not is_dotted(path):
        raise UsageError(f"{where} is not the path to one: write my_module:MySink")
    maker: Any = import_dotted(path, kind="sink", base=object)
    if not callable(maker):
        raise UsageError(f"{where}: {described(maker)} makes no sinks; name a class, or a function of a run")
    if isinstance(maker, type) and not callable(getattr(maker, "write", None)):
        raise UsageError(f"{where}: {maker.__name__} has no method write(event), which is all that a sink needs")
    return maker  # type: ignore[no-any-return]
