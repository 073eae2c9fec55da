"""One thread: small tensors on several only wait for one another, and bits depend on their number."""

import os

import torch

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
