"""Old Faithful by EM from many seeds: ``python -m benchmarks.old_faithful FILE``.

FILE is the table of 272 eruptions (Azzalini and Bowman 1990), columns eruptions and waiting. The best log
likelihoods are those of mclust (Scrucca et al. 2016): full covariance and K = 2, tied covariance and K = 3.
"""

import argparse
import csv
import warnings
from pathlib import Path

from ppl_gen import EM, fit
from ppl_gen.errors import Unreliable
from ppl_gen.models import GaussianMixture

BEST = {("full", 2): (-1130.264, 1e-3), ("tied", 3): (-1126.32, 0.02)}  # nats, and how near


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", type=int, default=100)
    options = parser.parse_args()
    with options.file.open() as lines:
        x = [[float(row["eruptions"]), float(row["waiting"])] for row in csv.DictReader(lines)]
    for (covariance, components), (best, near) in BEST.items():
        model = GaussianMixture(components, 2, covariance=covariance)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Unreliable)  # one step has not converged
            start = fit(model, EM(steps=1, restarts=1), x=x).elbo[-1].item()
        found = [fit(model, EM(seed=seed), x=x).elbo[-1].item() for seed in range(options.seeds)]
        hits = sum(abs(value - best) <= near for value in found)
        print(
            f"{covariance}, K = {components}: {best} ± {near} nats from {hits} of {options.seeds} seeds; "
            f"least {min(found):.3f}, greatest {max(found):.3f}, after one step {start:.3f}"
        )


if __name__ == "__main__":
    main()
