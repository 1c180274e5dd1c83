"""The laws of mixers and tasks, importable: run them on your own."""

from statewise.testing.compare import assert_close
from statewise.testing.mixers import MIXER_LAWS, check_mixer
from statewise.testing.tasks import TASK_LAWS, check_task

__all__ = ["MIXER_LAWS", "TASK_LAWS", "assert_close", "check_mixer", "check_task"]
