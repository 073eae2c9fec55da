"""The two regimes of Ng and Jordan (2002) on their data: ``python -m benchmarks.ng_and_jordan FOLDER``.

FOLDER holds ``pima.csv`` and ``voting_records.csv`` of UCI, the class in the last column y. Writes
NG_AND_JORDAN.md and a figure of each beside this file.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path

import pandas
import torch

from benchmarks.measure import machine
from ppl_gen import LearningCurves, learning_curves, plot
from ppl_gen.data import Dataset
from ppl_gen.models import (
    BernoulliNaiveBayes,
    LogisticRegression,
    SharedGaussianNaiveBayes,
)

HERE = Path(__file__).parent
SCALES = (10.0, 1.0)  # of the weights' prior: near maximum likelihood where that exists, and the default
HEAD = """# Ng and Jordan's two regimes

Written by `python -m benchmarks.ng_and_jordan FOLDER`. Naive Bayes is exact under its default, weak prior;
logistic regression is at the mode, under a prior that is nearly flat and under the default one. Naive Bayes
sums missing votes out; logistic regression gets the mean of the training rows. Intervals of the tables are
95 % each; who is ahead is told by tests of the paired differences that hold for all sizes together at 5 %.
"""


def dataset(path: Path) -> Dataset:
    """The file; y and n become 1 and 0, and an empty cell is missing."""
    frame = pandas.read_csv(path)
    x = frame.drop(columns="y")
    cells = torch.tensor(x.replace({"y": 1.0, "n": 0.0}).to_numpy(float))
    return Dataset(path.stem, cells, torch.tensor(frame.y.to_numpy()), ("0", "1"), tuple(x.columns), "UCI")


def pima(folder: Path, repeats: int, seed: int, scale: float) -> LearningCurves:
    """Eight measurements: one variance for each feature, shared by the classes."""
    data = dataset(folder / "pima.csv")
    models = {
        "naive Bayes": SharedGaussianNaiveBayes(classes=2, features=8),
        "logistic regression": LogisticRegression(classes=2, features=8, scale=scale),
    }
    return learning_curves(models, data, (8, 12, 20, 30, 40, 60, 80, 100, 150, 200, 300, 500), repeats, seed)


def voting(folder: Path, repeats: int, seed: int, scale: float) -> LearningCurves:
    """Sixteen votes, yes or no, some missing."""
    data = dataset(folder / "voting_records.csv")
    models = {
        "naive Bayes": BernoulliNaiveBayes(classes=2, features=16),
        "logistic regression": LogisticRegression(classes=2, features=16, scale=scale),
    }
    sizes = (4, 6, 8, 10, 14, 20, 30, 50, 80, 120, 200, 300)
    return learning_curves(models, data, sizes, repeats, seed, standardize=False)


def told(title: str, curves: LearningCurves, scale: float, seconds: float) -> str:
    """The verdict, the figure and the numbers, as Markdown."""
    name = f"ng_and_jordan_{curves.data}_{scale:g}.png"
    with plot.style():
        curves.figure("error").savefig(HERE / name, dpi=150)
    table = curves.table()
    lines = [
        f"## {title}, weights N(0, {scale:g}²)\n",
        *(f"- {curves.verdict(score)}" for score in ("error", "log loss")),
        f"\n{curves.repeats} repeats, {curves.held_out} rows held out, {seconds:.0f} s of one core.\n",
        f"![error against training rows]({name})\n",
        "| rows | " + " | ".join(f"{m}, {s}" for s in ("error", "log loss") for m in curves.models) + " |",
        "|---" * (1 + 2 * len(curves.models)) + "|",
    ]
    for size in curves.sizes:
        cells = [
            f"{row['mean']:.4f} ± {row['high'] - row['mean']:.4f}"
            for score in ("error", "log loss")
            for model in curves.models
            for _, row in table[
                (table["rows"] == size) & (table.score == score) & (table.model == model)
            ].iterrows()
        ]
        lines.append(f"| {size} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ng_and_jordan", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the two CSV files are")
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    parts = [HEAD, machine()]
    for title, work in (("Pima", pima), ("Voting records", voting)):
        for scale in SCALES:
            start = time.process_time()
            curves = work(options.folder, options.repeats, options.seed, scale)
            parts.append(told(title, curves, scale, time.process_time() - start))
            print(f"\n{parts[-1]}", flush=True)
    (HERE / "NG_AND_JORDAN.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
