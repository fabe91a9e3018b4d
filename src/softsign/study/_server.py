"""What the process of which workers are forks imports first: it ends at once with the one that started it.

Otherwise it would still make workers for a study that has been interrupted, and they would complain.
"""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
