"""Run the benchmarks, print the tables, write them and a figure to RESULTS.md: ``python -m benchmarks``."""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read when the libraries load
    os.environ[name] = "1"

import argparse  # noqa: E402
import gc  # noqa: E402
import re  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

from benchmarks import bare, estimators, mixtures, naive_bayes, svi  # noqa: E402
from benchmarks.measure import Comparison, figure, machine, table  # noqa: E402
from benchmarks.peers import missing  # noqa: E402

TELLING = "Probabilistic principal components, the estimator"  # with what limits these two
Part = tuple[str, Iterator[Comparison], str]
HEADER = (
    "# Benchmarks\n",
    "Written by `make bench`. Ours and the peer's take turns on one thread. Ratios are medians over the "
    "pairs of ours / peer's, with the interval of order statistics that holds the true median in at least "
    "95 of 100 runs; below 1 ours is faster. Times are medians.\n",
)


def parts(options: argparse.Namespace) -> Iterator[Part]:
    """Titles, comparisons, and the peer's name."""
    quick, peers = options.quick, options.peers
    n, heavy = (3, 2) if quick else (options.repeats, 6)
    rows = 20_000 if quick else 1_000_000
    yield (
        f"Gaussian naive Bayes, {rows:,} × 20 float64, 5 classes",
        naive_bayes.anchors(n, rows),
        "scikit-learn",
    )
    rows = 5_000 if quick else 100_000
    title = f"EM of Gaussian mixtures, {rows:,} × 20, 8 components, to one log likelihood"
    yield title, mixtures.anchors(heavy, rows), "scikit-learn"
    if not missing(peers, "pomegranate"):
        yield f"{title.split(', to')[0]}", mixtures.pomegranate(peers, heavy, rows), "pomegranate"
    few = 2_000 if quick else 100_000
    yield "Logistic regression, the estimator", estimators.logistic(n, few), "scikit-learn"
    yield TELLING, estimators.principal(n, few), "scikit-learn"
    yield "A step of stochastic variational inference", svi.steps(n), "peer"
    yield "Bare Pyro programs, whole fits", bare.pairs(heavy, 100 if quick else 1000), "Pyro"
    if not missing(peers, "numpyro"):
        fits = svi.whole_fits(peers, heavy, 300 if quick else svi.STEPS)
        yield "Stochastic variational inference, whole fits", fits, "NumPyro"
    largest = 10_000 if quick else options.largest
    yield "Cost against rows (20 features, 5 classes)", naive_bayes.growth(largest, n), "scikit-learn"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="pairs of runs of each quick row of a table")
    parser.add_argument("--largest", type=int, default=10_000_000, help="rows of the longest table")
    parser.add_argument("--peers", help="a Python with numpyro, funsor and pomegranate, or some of them")
    parser.add_argument(
        "--only", default="", help="only the tables with these words in their titles; the others stay"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small tables, few repeats: a trial of the benchmarks"
    )
    parser.add_argument("--out", type=Path, help="folder of RESULTS.md [this one; none if quick]")
    options = parser.parse_args()
    start, text = time.perf_counter(), [*HEADER, machine()]
    out = options.out or (None if options.quick else Path(__file__).parent)
    for title, rows, peer in parts(options):
        if options.only not in title:
            continue
        found = [row._replace(target=None) if options.quick else row for row in rows]  # for whole tables
        gc.collect()
        limits = f"\n{estimators.LIMITS}" if title == TELLING else ""
        text.append(f"## {title}\n\n{table(found, peer)}{limits}")
        if out and any(row.rows for row in found):
            figure(found, out / "cost_against_rows.png")
            text.append("![Seconds against rows](cost_against_rows.png)\n")
        print(f"\n{text[-1] if not text[-1].startswith('!') else text[-2]}", flush=True)
    left_out = [
        f"- {name}: {why}\n" for name in ("pomegranate", "numpyro") if (why := missing(options.peers, name))
    ]
    if left_out:
        text.append("## Peers left out\n\n" + "".join(left_out))
        print(f"\n{text[-1]}")
    text.append(f"All of it took {(time.perf_counter() - start) / 60:.0f} minutes.\n")
    if out and options.only:
        sections = [part for part in text if part.startswith("## ") and options.only in part.split("\n")[0]]
        (out / "RESULTS.md").write_text(replaced((out / "RESULTS.md").read_text(), sections))
    elif out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "RESULTS.md").write_text("\n".join(text))


def replaced(report: str, sections: Iterable[str]) -> str:
    """The report with these sections in place of those of the same titles, or before the last words."""
    for section in sections:
        title = section.split("\n")[0]
        old = re.search(rf"{re.escape(title)}\n.*?(?=^## |^All of it)", report, re.M | re.S)
        start, end = old.span() if old else (report.rindex("All of it"),) * 2
        report = f"{report[:start]}{section}\n{report[end:]}"
    return report


if __name__ == "__main__":
    main()
