"""One thread: small tensors on several only wait for one another, and bits depend on their number.

And Ctrl-C as Python has it, which a shell that starts the tests in the background turns off.
"""

import os
import signal

import torch

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
