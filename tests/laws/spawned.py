"""What a spawned process is asked to do: a module of its own, so that the process can import it."""

from multiprocessing.connection import Connection

import torch

from statewise.mixers import Mixer
from statewise.testing.runs import inputs_of


def send_outputs(pipe: Connection, mixer: Mixer) -> None:
    """The outputs of a mixer as plain numbers."""
    torch.set_num_threads(1)
    pipe.send(mixer(inputs_of(mixer))[0].tolist())
