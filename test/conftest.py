"""Settings of all tests."""

import os
import signal
from pathlib import Path

import torch

# Networks this small gain nothing from a second thread, but on a busy machine threads that wait for
# each other are many times slower. Child processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

# Converted networks stay in the checkout and out of the user's cache, and are kept between runs.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).parents[1] / "build" / "cache")

# A shell starts what runs in its background deaf to it, and child processes would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
