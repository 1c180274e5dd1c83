"""Optional packages, asked for in one way with one message."""

import importlib
from types import ModuleType

from statewise.core.errors import MissingExtraError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional module, or raise MissingExtraError naming the extra that brings it.

    >>> require("math", extra="report", purpose="figures").pi > 3
    True
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"{purpose} needs {error.name}, which is not installed: pip install 'statewise[{extra}]'"
        ) from None
