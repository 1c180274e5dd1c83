"""What must be so before any test module is imported."""

import os

# Triton reads this when it is first imported, and libraries that other tests compare with import it too.
os.environ["TRITON_INTERPRET"] = "1"

import torch

# Workers side by side share the cores: with a pool of all of them each, they would wait for one another.
torch.set_num_threads(max(1, torch.get_num_threads() // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))))
