"""statewise translate: train an encoder–decoder on parallel text, score it, translate with it."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from statewise.cli.translate_run import TranslateLines
from statewise.cli.translate_test import TranslateTest
from statewise.cli.translate_train import TranslateTrain


@dataclass(frozen=True, kw_only=True)
class Translate:
    """Train models that translate (train), score them by BLEU and chrF (test), and translate lines with one (run)."""

    command: Annotated[
        Annotated[TranslateTrain, tyro.conf.subcommand("train")]
        | Annotated[TranslateTest, tyro.conf.subcommand("test")]
        | Annotated[TranslateLines, tyro.conf.subcommand("run")],
        tyro.conf.OmitSubcommandPrefixes,
        tyro.conf.OmitArgPrefixes,
    ]
    """What to do."""

    def run(self) -> int:
        """Everything that the command does; returns its exit status."""
        return self.command.run()
