"""What the process that forks a loader's workers imports, once for all of them.

Threads of OpenCV and OpenMP, whose locks a fork would inherit for ever, start at the first work;
this process does none.
"""

import os

import training.data.loading  # noqa: F401

# A signal to the whole group (Ctrl-C) is for the training process, which then ends its workers.
# They are of this group too, which itself ends when the pipe to the training process closes.
os.setpgid(0, 0)
