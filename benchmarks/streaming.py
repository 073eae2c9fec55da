"""Rows larger than memory: ``python -m benchmarks.streaming --rows 1e8`` fits naive Bayes to a memory map.

Writes the rows into a temporary folder first (160 bytes each), and prints seconds and the memory that the
process holds for itself: pages of the file do not count, since the system takes them back at will.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.naive_bayes import CLASSES, FEATURES, rows
from ppl_gen import fit
from ppl_gen.models import GaussianNaiveBayes

BLOCK = 1_000_000


def written(folder: Path, n: int) -> tuple[np.ndarray, np.ndarray]:
    """``n`` rows and their classes in files, the same block again and again."""
    x, y = rows(min(n, BLOCK))
    with (folder / "x").open("wb") as features, (folder / "y").open("wb") as classes:
        for first in range(0, n, BLOCK):
            features.write(x[: n - first].tobytes())
            classes.write(y[: n - first].tobytes())
    return (
        np.memmap(folder / "x", dtype=np.float64, mode="r", shape=(n, FEATURES)),
        np.memmap(folder / "y", dtype=np.int64, mode="r", shape=(n,)),
    )


def private() -> int:
    """MiB of this process that lie in no file (Linux)."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous")) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=float, default=1e7)
    n = int(parser.parse_args().rows)
    nb = GaussianNaiveBayes(CLASSES, FEATURES)
    with tempfile.TemporaryDirectory() as folder:
        x, y = written(Path(folder), n)
        few = fit(nb, x=x[: BLOCK // 10], y=y[: BLOCK // 10])
        before, start = private(), time.perf_counter()
        posterior = fit(nb, x=x, y=y)
        print(f"{n:,} rows: {time.perf_counter() - start:.1f} s")
        print(f"private memory: {before} MiB after {few.n:,} rows, {private()} MiB after {posterior.n:,}")


if __name__ == "__main__":
    main()
