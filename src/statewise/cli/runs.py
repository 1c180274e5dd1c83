"""statewise runs: what is in a folder of runs."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from statewise.cli.runs_export import Export
from statewise.cli.runs_ls import Ls
from statewise.cli.runs_rm import Rm
from statewise.cli.runs_show import Show


@dataclass(frozen=True, kw_only=True)
class Runs:
    """List, show, remove and export the runs in a folder, straight from their records."""

    command: Annotated[
        Annotated[Ls, tyro.conf.subcommand("ls")]
        | Annotated[Show, tyro.conf.subcommand("show")]
        | Annotated[Rm, tyro.conf.subcommand("rm")]
        | Annotated[Export, tyro.conf.subcommand("export")],
        tyro.conf.OmitSubcommandPrefixes,
        tyro.conf.OmitArgPrefixes,
    ]
    """What to do with them."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        return self.command.run()
