"""Run the benchmarks, print the tables and write them to RESULTS.md: ``python -m benchmarks``."""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read when the libraries load
    os.environ[name] = "1"

import argparse  # noqa: E402
from pathlib import Path  # noqa: E402

from benchmarks import naive_bayes, svi  # noqa: E402
from benchmarks.measure import machine, table  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="pairs of runs of each row of a table")
    parser.add_argument("--largest", type=int, default=10_000_000, help="rows of the longest table")
    parser.add_argument("--numpyro", help="a Python with numpyro and funsor, for the comparison with NumPyro")
    options = parser.parse_args()
    parts = [
        "# Benchmarks\n",
        "Written by `make bench`. Ours and the peer's take turns in one process on one thread. Ratios are "
        "medians over the pairs of ours / peer's, with the interval of order statistics that holds the true "
        "median in at least 95 of 100 runs; below 1 ours is faster. Times are medians.\n",
        machine(),
    ]
    n, numpyro = options.repeats, options.numpyro
    for title, rows, peer in (
        ("Gaussian naive Bayes, 1,000,000 × 20 float64, 5 classes", naive_bayes.anchors(n), "scikit-learn"),
        (
            "Cost against rows (20 features, 5 classes)",
            naive_bayes.growth(options.largest, n),
            "scikit-learn",
        ),
        ("Stochastic variational inference", svi.steps(n), "peer"),
        ("Whole fits, imports and compilers included", svi.cold(numpyro, 3), "NumPyro"),
    ):
        parts.append(f"## {title}\n\n{table(rows, peer)}")
        print(f"\n{parts[-1]}", flush=True)
    Path(__file__).with_name("RESULTS.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
