"""The command line: one module a command, and one place where errors become exit statuses.

0  done        1  the work failed, or its reader left        2  what was asked for cannot be        130  interrupted
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from statewise.cli.bench import Bench
from statewise.cli.bounds import Bounds
from statewise.cli.capacity import Capacity
from statewise.cli.compare import Compare
from statewise.cli.construct import Construct
from statewise.cli.convert import Convert
from statewise.cli.doctor import Doctor
from statewise.cli.generate import Generate
from statewise.cli.needle import Needle
from statewise.cli.report import Report
from statewise.cli.reproduce import Reproduce
from statewise.cli.run import Run
from statewise.cli.runs import Runs
from statewise.cli.train import Train
from statewise.cli.translate import Translate
from statewise.cli.working_directory import working_directory_importable
from statewise.core.errors import StatewiseError, UsageError

__all__ = ["COMMANDS", "main"]

COMMANDS: dict[str, Callable[..., Any]] = {
    "compare": Compare,
    "train": Train,
    "generate": Generate,
    "capacity": Capacity,
    "bounds": Bounds,
    "construct": Construct,
    "convert": Convert,
    "needle": Needle,
    "translate": Translate,
    "reproduce": Reproduce,
    "run": Run,
    "runs": Runs,
    "report": Report,
    "bench": Bench,
    "doctor": Doctor,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; `arguments` default to the process's own.

    >>> main(["bounds", "parity", "--size", "8"])  # doctest: +ELLIPSIS
    parity ...
    0
    """
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="statewise",
            description="Choose, build and study recurrent sequence models.",
            args=sys.argv[1:] if arguments is None else arguments,
        )
        with working_directory_importable():
            status: int = command.run()
        sys.stdout.flush()
        return status
    except UsageError as error:
        print(f"statewise: {error}", file=sys.stderr)
        return 2
    except StatewiseError as error:
        print(f"statewise: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("statewise: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # As `head` does. Python writes what is left once more when it ends: to nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
