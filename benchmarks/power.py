"""What simulation-based calibration finds, measured: ``python -m benchmarks.power --keep FILE``.

FILE keeps what was measured, one line a run, so that the study can be stopped and goes on. With --page the
tables and figures of docs/calibration.md are written.
"""

import argparse
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kstest

from ppl_gen.core import ProbabilisticModel, run, variables
from ppl_gen.diagnostics import simulation_based_calibration
from ppl_gen.diagnostics.simulation.calibration_tests import calibration_power
from ppl_gen.diagnostics.simulation.coverage import clopper_pearson
from ppl_gen.diagnostics.simulation.quantities import at_once
from ppl_gen.inference.method import Fitted
from ppl_gen.inference.nuts import Draws
from ppl_gen.inputs import Data
from ppl_gen.isolation import isolated
from ppl_gen.models import LinearRegression

DOCS = Path(__file__).parent.parent / "docs"
X = torch.linspace(-1.5, 2.0, 8, dtype=torch.float64)[:, None]
RATE = 0.05
SIZES = (50, 100, 200, 400)


@dataclass(frozen=True)
class Perturbed:
    """The exact posterior's draws, made wrong: method of inference for `LinearRegression`.

    Args:
        sd: what the parameters' sds are multiplied by. bias: what is added to them, in sds.
        only: the one parameter that is made wrong, instead of all.
        draws: how many. seed: decides them.
    """

    sd: float = 1.0
    bias: float = 0.0
    only: str = ""
    draws: int = 200
    seed: int = 0

    def fit(self, start: ProbabilisticModel, guide: Any, data: Data, prior: Any = None) -> Fitted:
        after: Any = start
        after = after.updated(**data.inputs, **data.observed)
        with isolated(self.seed):
            drawn = at_once(lambda _: latents(after, data), self.draws)
        means = {"w": after.loc, "tau": after.shape / after.rate}
        wrong = {
            name: means[name] + self.sd * (v - means[name]) + self.bias * v.std(0)
            for name, v in drawn.items()
            if self.only in ("", name)
        }
        return Fitted(start, Draws({k: v[None] for k, v in (drawn | wrong).items()}), torch.zeros(0))


def latents(p: ProbabilisticModel, data: Data) -> dict[str, Any]:
    found = variables(run(p.model, data.values))
    return {name: found[name]["value"] for name in ("tau", "w")}


def line() -> LinearRegression:
    return LinearRegression(1, precision=1.0, shape=3.0, rate=2.0)


CASES = {
    "right": (Perturbed(), 200),
    "all sds 20 % too small": (Perturbed(sd=0.8), 100),
    "sd of tau 20 % too small": (Perturbed(sd=0.8, only="tau"), 100),
    "all means 0.3 sd too high": (Perturbed(bias=0.3), 100),
    "mean of tau 0.3 sd too high": (Perturbed(bias=0.3, only="tau"), 100),
}


def one_run(method: Perturbed, seed: int, simulations: int = 200) -> dict[str, Any]:
    found = simulation_based_calibration(line(), method, simulations=simulations, seed=seed, x=X)
    ranks = [kstest(u, "uniform").pvalue for u in found.u.T]
    return {
        "found": not found.passed,
        "KS on ranks": bool(min(ranks) <= RATE / len(ranks)),
        "faults": {name: f.faults for name, f in found.findings.items() if f.faults},
    }


def studied(keep: Path, seconds: float) -> dict[str, list[dict[str, Any]]]:
    """What is in the file, and what could be measured in this time."""
    lines = keep.read_text().splitlines() if keep.exists() else []
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in CASES}
    for case, measured in map(json.loads, lines):
        results[case].append(measured)
    end = time.monotonic() + seconds
    with keep.open("a") as file:
        for name, (method, runs) in CASES.items():
            while len(results[name]) < runs and time.monotonic() < end:
                results[name].append(one_run(method, 1000 * list(CASES).index(name) + len(results[name])))
                file.write(json.dumps([name, results[name][-1]]) + "\n")
                file.flush()
    return results


def ks_power(sd: float, bias: float, simulations: int = 200, draws: int = 99, repeats: int = 1000) -> float:
    """Of the test of Kolmogorov and Smirnov on the same places, one quantity."""
    from scipy.special import ndtr

    rng = np.random.default_rng(1)
    right = ndtr((rng.standard_normal((repeats, simulations)) - bias) / sd)
    u = (rng.binomial(draws, right) + rng.random(right.shape)) / (draws + 1)
    return float(np.mean([kstest(row, "uniform").pvalue <= RATE for row in u]))


def shares(runs: list[dict[str, Any]], key: str) -> str:
    hits = sum(bool(run[key]) for run in runs)
    low, high = clopper_pearson(hits, len(runs))
    return f"{hits} of {len(runs)} ({low:.0%} to {high:.0%})".replace("%", " %")


def figures() -> None:
    """Power against the size of the fault, and against the number of simulations."""
    import matplotlib.pyplot as plt

    from ppl_gen.plot import style

    with style():
        for name, grid, label in (
            ("sd", np.linspace(0.5, 1.5, 21), "the posterior's sd, in units of the right one"),
            ("bias", np.linspace(0.0, 0.6, 13), "bias of the posterior's mean, in right sds"),
        ):
            figure, ax = plt.subplots()
            for size, mark in zip(SIZES, ("-", "--", "-.", ":"), strict=True):
                found = [calibration_power(size, **{name: float(v)}) for v in grid]
                ax.plot(grid, found, mark, label=f"{size} simulations")
            ax.axhline(RATE, color="#667180", linewidth=0.8)
            ax.set_ylim(0, 1.02)
            ax.set_xlabel(label)
            ax.set_ylabel("probability that it is found")
            figure.legend(loc="outside upper left", ncols=2)
            figure.savefig(DOCS / f"power_{name}.png", dpi=90)
            plt.close(figure)


def page(results: dict[str, list[dict[str, Any]]]) -> str:
    faults = {"sd 20 % too small": (0.8, 0.0), "sd 25 % too large": (1.25, 0.0), "bias of 0.3 sd": (1.0, 0.3)}
    rows = []
    for name, (sd, bias) in {**faults, "none": (1.0, 0.0)}.items():
        found = [calibration_power(size, sd=sd, bias=bias) for size in SIZES]
        found += [calibration_power(sd=sd, bias=bias, quantities=4), ks_power(sd, bias)]
        rows.append(f"| {name} | {' | '.join(f'{power:.2f}' for power in found)} |")
    runs = [
        f"| {name} | {shares(found, 'found')} | {shares(found, 'KS on ranks')} |"
        for name, found in results.items()
        if found
    ]
    text = (DOCS / "calibration.md").read_text()
    for mark, lines in (("quick", rows), ("runs", runs)):
        pattern = rf"(<!-- {mark} -->\n).*?(<!-- end -->)"
        text = re.sub(pattern, lambda m, lines=lines: m[1] + "\n".join([*lines, ""]) + m[2], text, flags=re.S)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="a file of runs, which is added to")
    parser.add_argument("--seconds", type=float, default=3600.0, help="for more runs")
    parser.add_argument("--page", action="store_true", help="write docs/calibration.md and its figures")
    options = parser.parse_args()
    results = studied(options.keep, options.seconds) if options.keep else {}
    for name, found in results.items():
        if found:
            print(f"{name}: found in {shares(found, 'found')}; by KS on ranks {shares(found, 'KS on ranks')}")
    if options.page:
        figures()
        (DOCS / "calibration.md").write_text(page(results))


if __name__ == "__main__":
    main()
