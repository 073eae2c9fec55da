"""SVI by minibatches and exact counting of a memory map: ``python -m benchmarks.minibatches --rows 1e5 1e7``.

Writes rows into a temporary folder (33 bytes each: four numbers of eight bytes and a class) and fits each
number of them in a process of its own. The memory is what the process holds for itself, at its largest; pages
of the file do not count, since the system takes them back at will. Seconds are the processor's, so that other
work on the machine tells little.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FEATURES, BLOCK = 4, 100_000


def write(folder: Path, n: int) -> None:
    """Rows of a logistic regression, block after block."""
    generator = np.random.default_rng(0)
    with (folder / "x").open("wb") as features, (folder / "y").open("wb") as classes:
        for first in range(0, n, BLOCK):
            x = generator.standard_normal((min(BLOCK, n - first), FEATURES))
            x.tofile(features)
            (x[:, 0] > generator.logistic(size=len(x))).astype(np.uint8).tofile(classes)


def private() -> int:
    """Bytes of this process that lie in no file (Linux)."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous")) * 1024


def measured(folder: Path, n: int, steps: int, batch: int) -> dict[str, float]:
    """One fit by each method: bytes, and microseconds of the processor for each row or step."""
    from ppl_gen import SVI, Exact, fit
    from ppl_gen.models import GaussianNaiveBayes, LogisticRegression

    x = np.memmap(folder / "x", dtype=np.float64, mode="r", shape=(n, FEATURES))
    y = np.memmap(folder / "y", dtype=np.uint8, mode="r", shape=(n,))
    nb = GaussianNaiveBayes(classes=2, features=FEATURES)
    fit(nb, Exact(), x=x[:BLOCK], y=y[:BLOCK])
    start = time.process_time()
    fit(nb, Exact(), x=x, y=y)
    exact = (time.process_time() - start) / n
    found, peak = [], [private()]

    def schedule(done: float) -> float:
        found.append(time.process_time())
        if len(found) % 500 == 1:
            peak.append(private())
        return 1.0

    method = SVI(steps=steps, batch_size=batch, compile=False, schedule=schedule)
    fit(LogisticRegression(classes=2, features=FEATURES), method, x=x, y=y)
    step = (found[-1] - found[0]) / (len(found) - 1)
    return {"rows": n, "exact µs/row": exact * 1e6, "svi µs/step": step * 1e6, "MiB": max(peak) / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=float, nargs="+", default=[1e5, 1e7])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)  # where the rows lie
    given = parser.parse_args()
    if given.folder:
        print(json.dumps(measured(given.folder, int(given.rows[0]), given.steps, given.batch)))
        return
    for n in given.rows:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), int(n))
            here = [sys.executable, "-m", "benchmarks.minibatches", "--in", folder, "--rows", str(n)]
            more = ["--steps", str(given.steps), "--batch", str(given.batch)]
            run = subprocess.run([*here, *more], capture_output=True, text=True, check=True)
        print(", ".join(f"{name} {value:,.3g}" for name, value in json.loads(run.stdout).items()), flush=True)


if __name__ == "__main__":
    main()
