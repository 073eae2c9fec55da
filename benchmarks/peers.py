"""Peers that live in an environment of their own: a process that waits, and runs when it is told."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOP = """
import sys
{program}
for _ in sys.stdin:
    run()
    print("done", flush=True)
"""
WHY = "why-not.txt"  # in the environment's folder: a line for each peer that could not be installed


class Worker:
    """A process of another Python; calling it runs the program's ``run()`` there, once."""

    def __init__(self, python: str, program: str):
        command = [python, "-c", _LOOP.format(program=program)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )

    def __call__(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print("run", file=self.process.stdin, flush=True)
        if self.process.stdout.readline().strip() != "done":
            raise RuntimeError(f"the peer ended with {self.process.wait()}")


@contextmanager
def worker(python: str, program: str) -> Iterator[Worker]:
    """A `Worker` that ends with the block."""
    made = Worker(python, program)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


def cold(python: str, program: str) -> None:
    """A whole process, imports included."""
    subprocess.run([python, "-c", program], check=True, env=environment())


def environment() -> dict[str, str]:
    """One thread, and no compiler's cache from an earlier run."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    # XLA takes its threads from what it may run on
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return {**os.environ, **threads, "XLA_FLAGS": flags, "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}


def missing(python: str | None, package: str) -> str:
    """Why a peer is not there, or nothing if it is."""
    if python is None:
        return "no environment for peers was given"
    found = subprocess.run(
        [python, "-c", f"import {package}"], capture_output=True, text=True, env=environment()
    )
    if found.returncode == 0:
        return ""
    told = Path(python).parent.parent / WHY
    lines = told.read_text().splitlines() if told.exists() else []
    reasons = [line.split(": ", 1)[1] for line in lines if line.startswith(f"{package}: ")]
    return (reasons or found.stderr.strip().splitlines() or ["it cannot be imported"])[-1]
