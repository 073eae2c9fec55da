"""One process against several on one machine: python -m torch.distributed.run … -m benchmarks.processes

``python -m benchmarks.processes`` runs both, in turns, and prints a table of docs/more_than_one_machine.md.
"""

import json
import statistics
import subprocess
import sys
import time

import torch

from ppl_gen import EM, SVI, fit, ranks
from ppl_gen.models import VAE, GaussianMixture, GaussianNaiveBayes


def work():
    """name -> (model, method, data)."""
    random = torch.Generator().manual_seed(0)
    y = torch.randint(8, (1_000_000,), generator=random)
    x = torch.randn(1_000_000, 20, generator=random, dtype=torch.float64) + y[:, None]
    images = (torch.rand(5000, 784, generator=random) < 0.3).float()
    return {
        "exact, naive Bayes, 1,000,000 × 20": (GaussianNaiveBayes(8, 20), None, {"x": x, "y": y}),
        "EM, mixture of 8, 100,000 × 20, 20 steps": (
            GaussianMixture(components=8, features=20),
            EM(steps=20, restarts=1, tolerance=0.0),
            {"x": x[:100_000]},
        ),
        "SVI, mixture of 8, 20,000 × 20, all rows, 20 steps": (
            GaussianMixture(components=8, features=20),
            SVI(steps=20, batch_size=0, compile=False),
            {"x": x[:20_000]},
        ),
        "SVI, VAE 784-256-16, batches of 512, 50 steps": (
            VAE(784, 16),
            SVI(steps=50, batch_size=512, compile=False),
            {"x": images},
        ),
        "SVI, VAE 784-256-16, batches of 32, 100 steps": (
            VAE(784, 16),
            SVI(steps=100, batch_size=32, compile=False),
            {"x": images},
        ),
    }


def measured() -> dict[str, float]:
    """Seconds of each fit, by name; of several processes the slowest counts."""
    found = {}
    for name, (model, method, data) in work().items():
        ranks.every(True)  # start together
        start = time.perf_counter()
        fit(model, method, **data)
        ranks.every(True)
        found[name] = time.perf_counter() - start
    return found


def main(repeats: int = 3, most: int = 2) -> None:
    runs: dict[int, list[dict[str, float]]] = {1: [], most: []}
    for _ in range(repeats):
        for size, found in runs.items():
            launch = ["torch.distributed.run", "--standalone", f"--nproc-per-node={size}", "-m"]
            program = [sys.executable, "-m", *launch, "benchmarks.processes", "worker"]
            done = subprocess.run(program, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout))
    print(f"| work | 1 process, s | {most} processes, s | ratio |\n|---|---|---|---|")
    for name in runs[1][0]:
        one, several = ([run[name] for run in runs[size]] for size in (1, most))
        ratio = statistics.median(a / b for a, b in zip(one, several, strict=True))
        print(f"| {name} | {statistics.median(one):.2f} | {statistics.median(several):.2f} | {ratio:.2f} × |")


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        found = measured()
        if ranks.main():
            print(json.dumps(found))
    else:
        main()
