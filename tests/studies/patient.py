"""A mixer that takes its time without taking the processor's, so that there is time to end its worker."""

import time

from statewise.mixers import MinGRU

SECONDS = 0.05


class Patient(MinGRU):
    """minGRU that sleeps before it works."""

    def forward(self, x, state=None, *, reset=None):
        """Sleep, and mix."""
        time.sleep(SECONDS)
        return super().forward(x, state, reset=reset)
