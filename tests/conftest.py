"""What must be so before any test module is imported."""

import os

# Triton reads this when it is first imported, and libraries that other tests compare with import it too.
os.environ["TRITON_INTERPRET"] = "1"
